/// What a side does with what its peers send. The same on servers and clients.
public struct TransportHandlers: Sendable {
    public typealias Request =
        @Sendable (TransportMessage, PeerConnection) async -> TransportMessage
    /// Answers a request, once, from any thread.
    public typealias Answer = @Sendable (TransportMessage) -> Void
    public typealias DirectRequest =
        @Sendable (TransportMessage, PeerConnection, @escaping Answer) -> Bool
    public typealias Oneway = @Sendable (TransportMessage, PeerConnection) async -> Void

    /// Answers a request, in a task of its own: it may take as long as it wants, and later requests
    /// of the connection do not wait for it. It runs on when the connection breaks; its answer is
    /// then dropped. Nil refuses requests.
    public var request: Request?
    /// Sees a request before `request` does, on the connection's event loop, where it must not block.
    /// True: it answers, now or later. False: it does not, and `request` gets it.
    public var direct: DirectRequest?
    /// Takes a one-way message, in a task of its own: no order is kept. Nil refuses them.
    public var oneway: Oneway?
    /// Called on the connection's event loop before its first request; must not block.
    public var connected: @Sendable (PeerConnection) -> Void
    /// Called on the connection's event loop once, after `connected`; must not block.
    public var disconnected: @Sendable (PeerConnection, TransportError) -> Void

    public init(
        request: Request? = nil,
        direct: DirectRequest? = nil,
        oneway: Oneway? = nil,
        connected: @escaping @Sendable (PeerConnection) -> Void = { _ in },
        disconnected: @escaping @Sendable (PeerConnection, TransportError) -> Void = { _, _ in }
    ) {
        self.request = request
        self.direct = direct
        self.oneway = oneway
        self.connected = connected
        self.disconnected = disconnected
    }
}
