/// PERSISTENT RESERVE OUT, SPC-4 section 6.16.
extension ReservationTarget {
    private struct Parameters {
        var key: UInt64
        var serviceActionKey: UInt64
        var specifiesPaths: Bool
        var allTargetPorts: Bool
        var persists: Bool

        init(_ bytes: [UInt8]) {
            key = bytes.bigEndian(at: 0, count: 8)
            serviceActionKey = bytes.bigEndian(at: 8, count: 8)
            specifiesPaths = bytes[20] & 0x08 != 0
            allTargetPorts = bytes[20] & 0x04 != 0
            persists = bytes[20] & 0x01 != 0
        }
    }

    private static let parameterBytes = 24

    mutating func reserveOut(_ cdb: [UInt8], _ dataOut: [UInt8], from path: String) -> Outcome {
        let action = cdb[1] & 0x1f
        // REGISTER AND MOVE (7) and REPLACE LOST RESERVATION (8) are not supported.
        guard action <= 6 else { return Outcome(.check(.invalidFieldInCDB)) }
        guard cdb.bigEndian(at: 5, count: 4) == UInt64(Self.parameterBytes),
            dataOut.count >= Self.parameterBytes
        else { return Outcome(.check(.parameterListLength)) }
        let parameters = Parameters(dataOut)
        switch action {
        case 0: return Outcome(register(parameters, ignoresKey: false, from: path))
        case 6: return Outcome(register(parameters, ignoresKey: true, from: path))
        default: break
        }
        guard let key = keys[path], key == parameters.key else { return Outcome(.conflict) }
        switch action {
        case 1: return Outcome(reserve(cdb, from: path))
        case 2: return Outcome(release(cdb, from: path))
        case 3: return Outcome(clear(from: path))
        default:
            return preempt(
                cdb, victim: parameters.serviceActionKey, aborts: action == 5, from: path)
        }
    }

    /// LU_SCOPE and a type that there is.
    private static func type(_ cdb: [UInt8]) -> ReservationType? {
        cdb[2] >> 4 == 0 ? ReservationType(rawValue: cdb[2] & 0x0f) : nil
    }

    // MARK: Registrations

    private mutating func register(
        _ parameters: Parameters, ignoresKey: Bool, from path: String
    ) -> SCSIResponse {
        if !ignoresKey && parameters.key != keys[path] ?? 0 { return .conflict }
        guard !parameters.specifiesPaths, !parameters.allTargetPorts,
            supportsPersistence || !parameters.persists
        else { return .check(.invalidFieldInParameters) }
        if parameters.serviceActionKey != 0 {
            keys[path] = parameters.serviceActionKey
        } else {
            // Without a registration there is nothing to do, and nothing counts.
            guard keys[path] != nil else { return .good }
            unregister(path)
        }
        persistsThroughPowerLoss = parameters.persists
        generation &+= 1
        return .good
    }

    /// A reservation goes with its holder; one of all registrants with the last of them.
    private mutating func unregister(_ path: String) {
        let held = isHolder(path)
        keys[path] = nil
        guard held, let type = reservation?.type else { return }
        if type.isAllRegistrants && !keys.isEmpty { return }
        reservation = nil
        if type.letsRegistrantsIn { attend(.reservationsReleased, registered) }
    }

    // MARK: Reservations

    private mutating func reserve(_ cdb: [UInt8], from path: String) -> SCSIResponse {
        guard let type = Self.type(cdb) else { return .check(.invalidFieldInCDB) }
        guard let reservation else {
            reservation = Reservation(type: type, maker: path)
            return .good
        }
        return isHolder(path) && reservation.type == type ? .good : .conflict
    }

    private mutating func release(_ cdb: [UInt8], from path: String) -> SCSIResponse {
        guard let reservation, isHolder(path) else { return .good }
        guard Self.type(cdb) == reservation.type else { return .check(.invalidRelease) }
        self.reservation = nil
        if reservation.type.letsRegistrantsIn {
            attend(.reservationsReleased, registered.filter { $0 != path })
        }
        return .good
    }

    private mutating func clear(from path: String) -> SCSIResponse {
        attend(.reservationsPreempted, registered.filter { $0 != path })
        keys = [:]
        reservation = nil
        generation &+= 1
        return .good
    }

    // MARK: Preemption

    private mutating func preempt(
        _ cdb: [UInt8], victim: UInt64, aborts: Bool, from path: String
    ) -> Outcome {
        let current = reservation
        let takesOver: Bool
        if victim == 0 {
            // Of a reservation of all registrants: everybody else goes.
            guard current?.type.isAllRegistrants == true else {
                return Outcome(.check(.invalidFieldInParameters))
            }
            takesOver = true
        } else if let current, !current.type.isAllRegistrants {
            takesOver = keys[current.maker] == victim
        } else {
            takesOver = false
        }
        let removed = registered.filter { other in
            guard other != path else { return !takesOver && keys[other] == victim }
            return victim == 0 || keys[other] == victim
        }
        guard takesOver || !removed.isEmpty else { return Outcome(.conflict) }
        if takesOver {
            guard let type = Self.type(cdb) else {
                return Outcome(.check(.invalidFieldInCDB))
            }
            reservation = Reservation(type: type, maker: path)
        }
        for other in removed { keys[other] = nil }
        if reservation?.type.isAllRegistrants == true && keys.isEmpty { reservation = nil }
        attend(.registrationsPreempted, removed.filter { $0 != path })
        if let current, takesOver, current.type.letsRegistrantsIn,
            current.type != reservation?.type
        {
            attend(.reservationsReleased, registered.filter { $0 != path })
        }
        generation &+= 1
        return Outcome(
            .good, abortedPaths: aborts ? Set(removed.filter { $0 != path }) : [])
    }
}
