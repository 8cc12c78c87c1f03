import Glibc
import Logging
import NIOCore
import NIOPosix

/// Serves an engine to the nodes of this machine on a Unix socket (mode 0600).
public final class StoreServer: Sendable {
    private let socketPath: String
    private let listener: any Channel
    private let connections: StoreConnections
    private let logger: Logger

    /// Listens when it returns. A dead server's socket is replaced; throws `StoreError.inUse` when
    /// somebody answers at the path, or when it is not a socket.
    public static func start(
        engine: SQLiteStoreEngine, socketPath: String,
        logger: Logger = Logger(label: "covol.store"),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws -> StoreServer {
        precondition(StoreLimits.areConsistent, "the limits contradict each other")
        try StoreSocketPath.check(socketPath)
        let connections = StoreConnections()
        let temporary = StoreSocketPath.temporary(socketPath)
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try accept(channel, engine, connections, logger)
                }
            }
            .bind(unixDomainSocketPath: temporary, cleanupExistingSocketFile: true).get()
        if chmod(temporary, 0o600) != 0 || rename(temporary, socketPath) != 0 {
            let text = String(cString: strerror(errno))
            unlink(temporary)
            try await listener.close()
            throw StoreError.invalidRequest("cannot put the socket at \(socketPath): \(text)")
        }
        return StoreServer(socketPath, listener, connections, logger)
    }

    private init(
        _ socketPath: String, _ listener: any Channel, _ connections: StoreConnections,
        _ logger: Logger
    ) {
        self.socketPath = socketPath
        self.listener = listener
        self.connections = connections
        self.logger = logger
    }

    private static func accept(
        _ channel: any Channel, _ engine: SQLiteStoreEngine, _ connections: StoreConnections,
        _ logger: Logger
    ) throws {
        guard connections.add(channel) else {
            logger.warning(
                "connection closed",
                metadata: ["reason": "no more than \(StoreLimits.connections) are served"])
            throw StoreError.limitExceeded("connections")
        }
        let session = StoreSession(channel: channel, engine: engine, logger: logger)
        try channel.pipeline.syncOperations.addHandlers([
            ByteToMessageHandler(StoreFrameDecoder()), StoreSessionHandler(session),
        ])
    }

    /// Stops listening, removes the socket and closes the connections. The engine stays open.
    public func shutdown() async {
        unlink(socketPath)
        do {
            try await listener.close()
        } catch {
            logger.debug("closing the listener failed", metadata: ["error": "\(error)"])
        }
        for channel in connections.end() {
            channel.close(promise: nil)
            try? await channel.closeFuture.get()
        }
    }
}
