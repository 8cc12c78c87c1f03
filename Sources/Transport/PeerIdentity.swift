/// Who is at the other end, as its verified certificate says.
public struct PeerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// The node's name: the certificate's common name.
    public let node: String

    public init(node: String) {
        self.node = node
    }

    public var description: String { node }
}

/// Names one connection; unique in this process, never used again.
public struct ConnectionID: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt64

    public var description: String { "\(rawValue)" }
}

/// What a connection is for, so that bulk data does not stand in the way of metadata.
public enum Lane: UInt8, Sendable, CaseIterable {
    case metadata = 1
    case bulk = 2
}
