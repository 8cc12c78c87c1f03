/// Why a target refused a command: fixed (70h, 71h) and descriptor (72h, 73h) format, SPC-4 4.5.
public struct SenseData: Sendable, Equatable, CustomStringConvertible {
    /// The sense key, 0 to 15.
    public let key: UInt8
    public let additionalCode: UInt8
    public let additionalQualifier: UInt8

    public init(key: UInt8, additionalCode: UInt8, additionalQualifier: UInt8) {
        self.key = key
        self.additionalCode = additionalCode
        self.additionalQualifier = additionalQualifier
    }

    /// - Throws: `damagedAnswer`. Fixed sense data without the additional code has code 0.
    public init(_ bytes: [UInt8]) throws(FenceError) {
        guard let first = bytes.first else {
            throw .damagedAnswer("a CHECK CONDITION without sense data")
        }
        switch first & 0x7f {
        case 0x70, 0x71:
            guard bytes.count >= 8 else { throw SenseData.tooShort(bytes) }
            let hasCode = bytes.count >= 14 && bytes[7] >= 6
            self.init(
                key: bytes[2] & 0x0f, additionalCode: hasCode ? bytes[12] : 0,
                additionalQualifier: hasCode ? bytes[13] : 0)
        case 0x72, 0x73:
            guard bytes.count >= 4 else { throw SenseData.tooShort(bytes) }
            self.init(
                key: bytes[1] & 0x0f, additionalCode: bytes[2], additionalQualifier: bytes[3])
        default:
            throw .damagedAnswer("sense data of format \(hexadecimal(first))")
        }
    }

    private static func tooShort(_ bytes: [UInt8]) -> FenceError {
        .damagedAnswer("sense data of \(bytes.count) bytes")
    }

    /// UNIT ATTENTION: something happened to the LUN (a reset, someone's preemption). The command
    /// was not executed; the next one is.
    public var isUnitAttention: Bool { key == 0x6 }

    /// INVALID FIELD IN CDB or IN PARAMETER LIST, INVALID COMMAND OPERATION CODE: it never will.
    public var isIllegalRequest: Bool { key == 0x5 }

    public var description: String {
        let code = "\(hexadecimal(additionalCode))/\(hexadecimal(additionalQualifier))"
        return "\(SenseData.words[Int(key & 0x0f)]) (\(code)\(meaning))"
    }

    private var meaning: String {
        switch (additionalCode, additionalQualifier) {
        case (0x20, 0x00): ", invalid command operation code"
        case (0x24, 0x00): ", invalid field in the command"
        case (0x26, 0x00): ", invalid field in the parameter list"
        case (0x26, 0x04): ", invalid release of a reservation"
        case (0x29, _): ", power on, reset or bus device reset"
        case (0x2a, 0x03): ", reservations preempted"
        case (0x2a, 0x04): ", reservations released"
        case (0x2a, 0x05): ", registrations preempted"
        case (0x55, 0x04): ", the target has no room for another registration"
        default: ""
        }
    }

    private static let words = [
        "no sense", "recovered error", "not ready", "medium error", "hardware error",
        "illegal request", "unit attention", "data protect", "blank check", "vendor specific",
        "copy aborted", "aborted command", "reserved", "volume overflow", "miscompare", "completed",
    ]
}
