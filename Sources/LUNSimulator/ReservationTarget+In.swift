/// PERSISTENT RESERVE IN, SPC-4 section 6.15.
extension ReservationTarget {
    func reserveIn(_ cdb: [UInt8]) -> SCSIResponse {
        let allocation = Int(cdb.bigEndian(at: 7, count: 2))
        switch cdb[1] & 0x1f {
        case 0: return .data(readKeys, allocationBytes: allocation)
        case 1: return .data(readReservation, allocationBytes: allocation)
        case 2: return .data(capabilities, allocationBytes: allocation)
        case 3: return .data(readFullStatus, allocationBytes: allocation)
        default: return .check(.invalidFieldInCDB)
        }
    }

    /// Generation and length come before a list.
    private func list(_ bytes: [UInt8]) -> [UInt8] {
        var data: [UInt8] = []
        data.append(bigEndian: generation)
        data.append(bigEndian: UInt32(bytes.count))
        return data + bytes
    }

    /// One key for each registered path, so that equal ones come more than once.
    private var readKeys: [UInt8] {
        var bytes: [UInt8] = []
        for path in registered { bytes.append(bigEndian: keys[path] ?? 0) }
        return list(bytes)
    }

    private var readReservation: [UInt8] {
        guard let reservation else { return list([]) }
        var bytes: [UInt8] = []
        // All Registrants: nobody's key in particular.
        let key = reservation.type.isAllRegistrants ? 0 : keys[reservation.maker] ?? 0
        bytes.append(bigEndian: key)
        bytes.append(bigEndian: UInt32(0))
        bytes += [0, reservation.type.rawValue, 0, 0]
        return list(bytes)
    }

    /// PTPL_C where it is supported, TMV, PTPL_A as it is now, and all six types.
    private var capabilities: [UInt8] {
        [
            0, 8, supportsPersistence ? 0x01 : 0, 0x80 | (persistsThroughPowerLoss ? 0x01 : 0),
            0xea, 0x01, 0, 0,
        ]
    }

    private var readFullStatus: [UInt8] {
        var bytes: [UInt8] = []
        for path in registered {
            let holds = isHolder(path)
            let identity = Self.transportID(path)
            bytes.append(bigEndian: keys[path] ?? 0)
            bytes.append(bigEndian: UInt32(0))
            bytes += [holds ? 0x01 : 0, holds ? reservation?.type.rawValue ?? 0 : 0]
            bytes.append(bigEndian: UInt32(0))
            // The relative identifier of the only target port.
            bytes.append(bigEndian: UInt16(1))
            bytes.append(bigEndian: UInt32(identity.count))
            bytes += identity
        }
        return list(bytes)
    }

    /// An iSCSI initiator's TransportID, SPC-4 section 7.6.4.6: its name with a NUL, padded to words.
    static func transportID(_ path: String) -> [UInt8] {
        var name = Array("iqn.2026-11.covolume.lab:\(path)".utf8) + [0]
        name += [UInt8](repeating: 0, count: (4 - name.count % 4) % 4)
        var bytes: [UInt8] = [0x05, 0]
        bytes.append(bigEndian: UInt16(name.count))
        return bytes + name
    }
}
