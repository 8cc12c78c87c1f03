import Foundation

/// A request line of the control socket.
struct ControlRequest: Decodable {
    var command: String
    var path: String?
    var cdb: String?
    var data: String?
    var kind: String?
    var milliseconds: Int?
    var sinceSequence: UInt64?
}

struct ControlFailure: Codable, Error {
    var error: String
}

/// The answer to `fault`: the change is in force.
struct ControlDone: Codable {
    var ok = true
}

/// The answer to `scsi`. Sense and data are in hexadecimal.
struct ControlResponse: Codable {
    var status: UInt8
    var sense: String
    var data: String

    init(_ response: SCSIResponse) {
        status = response.status.rawValue
        sense = Hexadecimal.text(response.sense)
        data = Hexadecimal.text(response.data)
    }
}

/// The answer to `status`.
struct ControlStatus: Codable {
    struct Path: Codable {
        var name: String
        /// `ok`, `fail`, `hang`, `slow` or `cut`.
        var fault: String
        /// The delay of a slow path.
        var milliseconds: Int?
        /// `armed`, or `held` once a write is held back.
        var lateWrite: String?
        /// The registered key, `0x` and 16 digits.
        var key: String?
        /// Operations that wait for the fault to end, a late write included.
        var held: Int
        var underWay: Int
        /// The FUSE connection is over.
        var hasEnded: Bool
        var counters: PathCounters
    }

    struct Reservation: Codable {
        var type: UInt8
        var maker: String
    }

    var image: String
    var sizeBytes: UInt64
    var paths: [Path]
    var reservation: Reservation?
    var generation: UInt32
    var persistsThroughPowerLoss: Bool
    /// Of the last write that landed.
    var lastSequence: UInt64
}

/// The answer to `accesses`.
struct ControlAccesses: Codable {
    struct Entry: Codable {
        var sequence: UInt64
        var path: String
        /// `write` or `discard`.
        var kind: String
        /// A late write that was let go.
        var late: Bool
        var offset: UInt64
        var length: UInt64
        /// CLOCK_BOOTTIME.
        var startedNanoseconds: UInt64
        var landedNanoseconds: UInt64
    }

    /// The oldest that is still remembered.
    var firstSequence: UInt64
    /// The newest there is. Where it is not the last entry's, ask again from there.
    var lastSequence: UInt64
    var entries: [Entry]
    var paths: [String: PathCounters]
}

enum Hexadecimal {
    static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Nil for what is not pairs of hexadecimal digits.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digit(digits[index]), let low = digit(digits[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
