/// The number that goes up each time a volume gets a new coordinator. Zero means "none yet".
public struct Epoch: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var number: UInt64

    public init(_ number: UInt64) { self.number = number }

    public static func < (left: Epoch, right: Epoch) -> Bool { left.number < right.number }
    public var description: String { String(number) }
}

/// One life of a node's daemon: a random number drawn at its start.
public struct Incarnation: Hashable, Sendable, CustomStringConvertible {
    public var number: UInt64

    public init(_ number: UInt64) { self.number = number }

    public var description: String { String(number, radix: 16) }
}

/// Counts the grants and recalls of one file, so that a late grant is told from a current one
/// (rule order-of-grant-and-recall). Starts at 1; goes up with every grant and every recall.
public struct LayoutGeneration: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var number: UInt64

    public init(_ number: UInt64) { self.number = number }

    public static func < (left: LayoutGeneration, right: LayoutGeneration) -> Bool {
        left.number < right.number
    }
    public var description: String { String(number) }
}

/// A node's daemon in one life: what a session belongs to.
public struct NodeIdentity: Hashable, Sendable, CustomStringConvertible {
    public var name: String
    public var incarnation: Incarnation

    public init(name: String, incarnation: Incarnation) {
        self.name = name
        self.incarnation = incarnation
    }

    public var description: String { "\(name)/\(incarnation)" }
}
