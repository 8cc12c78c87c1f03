/// Why a call, a connection or a server failed.
public struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// There is no connection to the peer; nothing was sent.
        case notConnected
        /// The connection broke before the answer came.
        case connectionLost
        /// No answer came in the time given.
        case timedOut
        /// The caller's task was cancelled.
        case cancelled
        /// A body or payload is larger than `TransportLimits` allows; nothing was sent.
        case messageTooLarge
        /// Too many calls wait on this connection; nothing was sent.
        case tooManyCalls
        /// The peer takes no such messages, or has answered with one that is too large.
        case refusedByPeer
        /// The peer broke the protocol; the connection was closed.
        case protocolViolation
        /// The peer is not the node that was meant, or not of this cluster.
        case wrongPeer
        /// TLS failed: no certificate of this cluster, TLS below 1.3, a wrong name.
        case handshakeFailed
        /// Nothing was heard from the peer for too long.
        case peerSilent
        /// This side closed the connection, client or server.
        case closed
        /// An address cannot be read, bound or reached.
        case address
        /// The credentials cannot be used for TLS.
        case credentials
    }

    public let code: Code
    /// What happened and, where there is something to do, what.
    public let message: String
    /// True when a request may have reached the peer: it may have been done, or may yet be.
    public let isOutcomeUnknown: Bool

    public init(_ code: Code, _ message: String, isOutcomeUnknown: Bool = false) {
        self.code = code
        self.message = message
        self.isOutcomeUnknown = isOutcomeUnknown
    }

    public var description: String { "\(code.rawValue): \(message)" }

    /// The same failure as the caller of a request that was sent sees it.
    var afterSending: TransportError {
        TransportError(.connectionLost, message, isOutcomeUnknown: true)
    }

    /// The same failure as the caller of a request that was not sent sees it.
    var beforeSending: TransportError {
        TransportError(.notConnected, message)
    }
}
