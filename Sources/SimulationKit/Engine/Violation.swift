/// A check that failed: something that may never happen has happened.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// Which check, in few words.
    public var check: String
    public var details: String
    public var timeNanoseconds: UInt64

    public var description: String {
        "\(check): \(details) (at \(TraceLine.seconds(timeNanoseconds)) s)"
    }
}

/// One line of a readable trace.
public struct TraceLine: Hashable, Sendable, CustomStringConvertible {
    public var timeNanoseconds: UInt64
    /// Who: a node, the LUN, the store, the coordinator of an epoch.
    public var place: String
    public var text: String

    public var description: String {
        let columns = max(0, 14 - place.count)
        return Self.seconds(timeNanoseconds) + "  " + place
            + String(repeating: " ", count: columns) + text
    }

    static func seconds(_ nanoseconds: UInt64) -> String {
        let micros = nanoseconds / 1000
        let fraction = String(micros % 1_000_000)
        return String(micros / 1_000_000) + "."
            + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
