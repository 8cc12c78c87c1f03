/// The LUN as a SCSI target: its persistent reservations, as a state machine without time and I/O.
///
/// After SPC-4 sections 5.13, 6.15 and 6.16. An I_T nexus is a path, known by its name. There is one
/// target port, one logical unit, and LU_SCOPE only.
public struct ReservationTarget: Sendable {
    public struct Reservation: Hashable, Sendable {
        public var type: ReservationType
        /// The path that made it. With an All Registrants type every registered path holds it.
        public var maker: String
    }

    /// What a command did besides its response.
    public struct Outcome: Hashable, Sendable {
        public var response: SCSIResponse
        /// Paths whose commands under way a PREEMPT AND ABORT ends.
        public var abortedPaths: Set<String> = []

        init(_ response: SCSIResponse, abortedPaths: Set<String> = []) {
            self.response = response
            self.abortedPaths = abortedPaths
        }
    }

    enum Access {
        case read
        case write
    }

    public let paths: [String]
    /// Whether APTPL is accepted: registrations that outlive a power loss.
    public let supportsPersistence: Bool
    /// The key of each registered path; never 0.
    public internal(set) var keys: [String: UInt64] = [:]
    public internal(set) var reservation: Reservation?
    /// PRgeneration.
    public internal(set) var generation: UInt32 = 0
    /// The last registration's APTPL.
    public internal(set) var persistsThroughPowerLoss = false
    /// Unit attentions that each path has still to be told, oldest first.
    var attentions: [String: [SCSISense]] = [:]

    public init(paths: [String], supportsPersistence: Bool = true) {
        self.paths = paths
        self.supportsPersistence = supportsPersistence
    }

    /// Executes a command that came in by `path`, which must be one of ``paths``.
    public mutating func execute(
        cdb: [UInt8], dataOut: [UInt8], from path: String
    ) -> Outcome {
        precondition(paths.contains(path), "no such path: \(path)")
        guard let opcode = cdb.first else { return Outcome(.check(.invalidOpcode)) }
        // INQUIRY is answered without looking at them, SAM-5 section 5.14.
        if opcode != Self.inquiry, let attention = takeAttention(path) {
            return Outcome(.check(attention))
        }
        switch (opcode, cdb.count) {
        case (Self.testUnitReady, 6...): return Outcome(.good)
        case (Self.inquiry, 6...): return Outcome(inquiry(cdb, from: path))
        case (Self.persistentReserveIn, 10...): return Outcome(reserveIn(cdb))
        case (Self.persistentReserveOut, 10...): return reserveOut(cdb, dataOut, from: path)
        default: return Outcome(.check(.invalidOpcode))
        }
    }

    /// Whether a path's reads or writes get through, SPC-4 tables 63 and 64.
    func allows(_ access: Access, from path: String) -> Bool {
        guard let reservation else { return true }
        if isHolder(path) { return true }
        if reservation.type.letsRegistrantsIn && keys[path] != nil { return true }
        return access == .read && reservation.type.letsEverybodyRead
    }

    func isHolder(_ path: String) -> Bool {
        guard let reservation, keys[path] != nil else { return false }
        return reservation.type.isAllRegistrants || reservation.maker == path
    }

    /// The registered paths, in the order of ``paths``.
    var registered: [String] { paths.filter { keys[$0] != nil } }

    mutating func attend(_ sense: SCSISense, _ paths: some Sequence<String>) {
        for path in paths where !attentions[path, default: []].contains(sense) {
            attentions[path, default: []].append(sense)
        }
    }

    private mutating func takeAttention(_ path: String) -> SCSISense? {
        guard let first = attentions[path]?.first else { return nil }
        attentions[path]?.removeFirst()
        return first
    }

    static let testUnitReady: UInt8 = 0x00
    static let inquiry: UInt8 = 0x12
    static let persistentReserveIn: UInt8 = 0x5e
    static let persistentReserveOut: UInt8 = 0x5f
}
