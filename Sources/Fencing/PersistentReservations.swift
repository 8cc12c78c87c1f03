import Glibc

/// SCSI-3 persistent reservations of one LUN by one path (SPC-4, 5.13).
///
/// Every method blocks its thread and may be called from any thread. A unit attention, BUSY and
/// TASK SET FULL are retried here; RESERVATION CONFLICT becomes `FenceError.reservationConflict`.
public struct PersistentReservations: Sendable {
    /// All registrants hold it: it outlives whoever made it; and who is not registered can neither
    /// write nor read.
    public static let kind = PersistentReservation.Kind.exclusiveAccessAllRegistrants

    /// What a registration came to.
    public struct Registration: Sendable, Equatable {
        /// Whether the target keeps it over a loss of its own power (APTPL, read back). Otherwise
        /// fenced nodes can write again after such a loss; the operator should know.
        public let isPersistent: Bool
        /// Why not.
        public let problem: String?
    }

    let transport: any SCSITransport
    private let pause: @Sendable (Double) -> Void

    /// - Parameter pause: waits, in seconds; a parameter for tests.
    public init(
        _ transport: any SCSITransport,
        pause: @escaping @Sendable (Double) -> Void = { usleep(UInt32($0 * 1e6)) }
    ) {
        self.transport = transport
        self.pause = pause
    }

    /// What messages call the path.
    public var name: String { transport.name }

    // MARK: Looking

    public func readKeys() throws(FenceError) -> RegisteredKeys {
        try readKeys(firstAllocationBytes: 8 + 8 * 64)
    }

    func readKeys(firstAllocationBytes: UInt16) throws(FenceError) -> RegisteredKeys {
        var allocation = firstAllocationBytes
        while true {
            let answer = try read(.readKeys, allocation)
            let needed = try RegisteredKeys.answerBytes(header: answer)
            if needed <= Int(allocation) { return try RegisteredKeys(answer) }
            // The limit on keys keeps this below 64 KiB. Some may have come between: ask for more.
            allocation = UInt16(needed)
        }
    }

    /// Nil where the LUN is not reserved.
    public func readReservation() throws(FenceError) -> PersistentReservation? {
        try PersistentReservation.decode(try read(.readReservation, 24))
    }

    public func readCapabilities() throws(FenceError) -> ReservationCapabilities {
        try ReservationCapabilities(try read(.reportCapabilities, 8))
    }

    // MARK: Changing

    /// Registers `key` for this path, whatever key it had, and asks the target to keep it over a
    /// loss of power. Registers all the same where the target cannot keep it, and says so.
    public func register(_ key: ReservationKey) throws(FenceError) -> Registration {
        do throws(FenceError) {
            try register(key.number, isPersistent: true)
        } catch .refusedByTarget(let sense) where sense.isIllegalRequest {
            try register(key.number, isPersistent: false)
            return Registration(
                isPersistent: false,
                problem: "\(name): the target does not keep registrations over a loss of power")
        }
        // Some accept the bit and do nothing.
        guard try readCapabilities().isPersistent else {
            return Registration(
                isPersistent: false,
                problem: "\(name): the target took APTPL but does not show it as activated")
        }
        return Registration(isPersistent: true, problem: nil)
    }

    /// Ends this path's registration. Where `key` was preempted there is nothing to end.
    public func unregister(_ key: ReservationKey) throws(FenceError) {
        do throws(FenceError) {
            try write(.register, key: key.number, actionKey: 0)
        } catch .reservationConflict {
            return
        }
    }

    /// Reserves the LUN for all registrants. `key` must be registered for this path.
    ///
    /// - Throws: `reservationConflict` where this path is not registered; `reservedByOthers` where
    ///   the LUN has a reservation of another type.
    public func reserve(_ key: ReservationKey) throws(FenceError) {
        do throws(FenceError) {
            try write(.reserve, key: key.number, actionKey: 0, kind: Self.kind)
        } catch .reservationConflict {
            guard let found = try readReservation(), found.kind != Self.kind else {
                throw .reservationConflict
            }
            throw .reservedByOthers(
                "the LUN has a reservation \"\(found.kind)\", which is not this cluster's. If no "
                    + "host uses it any more, clear it with `sg_persist --out --clear`")
        }
    }

    /// Takes `victim`'s registrations away and aborts its commands: when this returns, the target
    /// has ended them. On a dm-multipath device this must go to a path: its own calls never abort.
    ///
    /// - Throws: `reservationConflict` where `own` or `victim` is not registered: read the keys.
    public func preemptAndAbort(
        own: ReservationKey, victim: ReservationKey
    ) throws(FenceError) {
        try preempt(.preemptAndAbort, own: own, victim: victim)
    }

    /// Whether the target has PREEMPT AND ABORT: sends one for a key that nobody has, which ends as
    /// a reservation conflict and changes nothing. `own` must be registered for this path.
    ///
    /// Some targets (tgt) have all of persistent reservations but this, and no capability tells.
    ///
    /// - Throws: `unsupported`; `reservationConflict` where `own` is not registered any more.
    public func checkPreemptAndAbort(own: ReservationKey) throws(FenceError) {
        guard try readKeys().keys.contains(own) else { throw .reservationConflict }
        var generator = SystemRandomNumberGenerator()
        try checkPreemptAndAbort(own: own, nobody: .random(using: &generator))
    }

    func checkPreemptAndAbort(
        own: ReservationKey, nobody: ReservationKey
    ) throws(FenceError) {
        do throws(FenceError) {
            try preempt(.preemptAndAbort, own: own, victim: nobody)
        } catch .reservationConflict {
            return
        } catch .refusedByTarget(let sense) where sense.isIllegalRequest {
            throw .unsupported(
                "\(name): the target has no PREEMPT AND ABORT, so a fenced node's writes could "
                    + "still land. Give the volume another fence")
        }
    }

    /// Takes `victim`'s registrations away. Its commands go on: this is no fence, it clears what is
    /// left of a node that is proven to be off.
    public func preempt(own: ReservationKey, victim: ReservationKey) throws(FenceError) {
        try preempt(.preempt, own: own, victim: victim)
    }

    private func preempt(
        _ action: PersistentReserveOut.ServiceAction, own: ReservationKey, victim: ReservationKey
    ) throws(FenceError) {
        precondition(own != victim, "a path that preempts its own key")
        try write(action, key: own.number, actionKey: victim.number, kind: Self.kind)
    }

    private func register(_ key: UInt64, isPersistent: Bool) throws(FenceError) {
        try write(
            .registerAndIgnoreExistingKey, key: 0, actionKey: key, isPersistent: isPersistent)
    }

    // MARK: Sending

    private func read(
        _ action: PersistentReserveIn.ServiceAction, _ allocationBytes: UInt16
    ) throws(FenceError) -> [UInt8] {
        let command = PersistentReserveIn.command(action, allocationBytes: allocationBytes)
        let data = try send(command, dataOut: [], dataInMaximum: Int(allocationBytes))
        guard data.count <= Int(allocationBytes) else {
            throw .damagedAnswer("\(data.count) bytes came where \(allocationBytes) were asked for")
        }
        return data
    }

    private func write(
        _ action: PersistentReserveOut.ServiceAction, key: UInt64, actionKey: UInt64,
        kind: PersistentReservation.Kind? = nil, isPersistent: Bool = false
    ) throws(FenceError) {
        let parameters = PersistentReserveOut.parameters(
            key: key, actionKey: actionKey, isPersistent: isPersistent)
        _ = try send(
            PersistentReserveOut.command(action, kind: kind), dataOut: parameters,
            dataInMaximum: 0)
    }

    private func send(
        _ cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> [UInt8] {
        var last = FenceError.status(SCSIResponse.busy)
        for attempt in 1...FencingLimits.commandAttemptsMaximum {
            if attempt > 1, case .status = last { pause(FencingLimits.busyPauseSeconds) }
            let answer = try transport.execute(
                cdb: cdb, dataOut: dataOut, dataInMaximum: dataInMaximum)
            switch answer.status {
            case SCSIResponse.good:
                return answer.data
            case SCSIResponse.reservationConflict:
                throw .reservationConflict
            case SCSIResponse.checkCondition:
                let sense = try SenseData(answer.sense)
                last = .refusedByTarget(sense)
                // Each tells of one event of the past, and there can be several.
                guard sense.isUnitAttention else { throw last }
            case SCSIResponse.busy, SCSIResponse.taskSetFull:
                last = .status(answer.status)
            default:
                throw .status(answer.status)
            }
        }
        throw last
    }
}
