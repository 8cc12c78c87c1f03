/// What a SCSI command came to.
public struct SCSIResponse: Hashable, Sendable {
    /// The status byte, SAM-5 section 5.3.
    public enum Status: UInt8, Sendable {
        case good = 0x00
        case checkCondition = 0x02
        case reservationConflict = 0x18
    }

    public var status: Status
    /// Fixed-format sense data; empty without CHECK CONDITION.
    public var sense: [UInt8]
    public var data: [UInt8]

    public init(_ status: Status, sense: [UInt8] = [], data: [UInt8] = []) {
        self.status = status
        self.sense = sense
        self.data = data
    }

    static let good = SCSIResponse(.good)
    static let conflict = SCSIResponse(.reservationConflict)

    static func check(_ sense: SCSISense) -> SCSIResponse {
        SCSIResponse(.checkCondition, sense: sense.fixedFormat)
    }

    /// Data, cut to the CDB's allocation length, which is no error.
    static func data(_ bytes: [UInt8], allocationBytes: Int) -> SCSIResponse {
        SCSIResponse(.good, data: Array(bytes.prefix(allocationBytes)))
    }
}

/// A sense key with its additional code and qualifier, SPC-4 section 4.5 and annex D.
struct SCSISense: Hashable, Sendable {
    let key: UInt8
    let code: UInt8
    let qualifier: UInt8

    static let invalidOpcode = SCSISense(key: 5, code: 0x20, qualifier: 0)
    static let invalidFieldInCDB = SCSISense(key: 5, code: 0x24, qualifier: 0)
    static let invalidFieldInParameters = SCSISense(key: 5, code: 0x26, qualifier: 0)
    static let invalidRelease = SCSISense(key: 5, code: 0x26, qualifier: 4)
    static let parameterListLength = SCSISense(key: 5, code: 0x1a, qualifier: 0)
    static let reservationsPreempted = SCSISense(key: 6, code: 0x2a, qualifier: 3)
    static let reservationsReleased = SCSISense(key: 6, code: 0x2a, qualifier: 4)
    static let registrationsPreempted = SCSISense(key: 6, code: 0x2a, qualifier: 5)

    /// 18 bytes, current error.
    var fixedFormat: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 18)
        bytes[0] = 0x70
        bytes[2] = key
        bytes[7] = 10
        bytes[12] = code
        bytes[13] = qualifier
        return bytes
    }
}
