import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// Serves the nodes of the cluster, on any number of addresses.
///
/// A peer without a certificate of this cluster gets nothing: its handshake fails, and the reason is
/// logged. May be used from any thread.
public final class TransportServer: Sendable {
    /// Where it listens; ports given as zero are those that the system chose.
    public let addresses: [TransportAddress]
    private let listeners: [any Channel]
    private let registry: ConnectionRegistry
    private let logger: Logger

    private init(
        addresses: [TransportAddress], listeners: [any Channel], registry: ConnectionRegistry,
        logger: Logger
    ) {
        self.addresses = addresses
        self.listeners = listeners
        self.registry = registry
        self.logger = logger
    }

    /// Listens on all of the addresses, or on none.
    ///
    /// - Parameter group: runs listeners and connections; must outlive the server.
    /// - Throws: `.address`, with the address that cannot be bound.
    public static func bind(
        to addresses: [TransportAddress],
        credentials: TransportCredentials,
        configuration: ConnectionConfiguration = ConnectionConfiguration(),
        group: any EventLoopGroup,
        handlers: TransportHandlers,
        logger: Logger
    ) async throws(TransportError) -> TransportServer {
        TransportLimits.assertRelations()
        let registry = ConnectionRegistry()
        let bootstrap = makeBootstrap(
            group, registry,
            ConnectionContext(
                role: .server, credentials: credentials, handlers: registry.observing(handlers),
                configuration: configuration), logger)
        var listeners: [any Channel] = []
        var bound: [TransportAddress] = []
        for address in addresses {
            do {
                let listener = try await bootstrap.bind(
                    host: address.host, port: Int(address.port)
                ).get()
                listeners.append(listener)
                bound.append(TransportAddress(listener.localAddress) ?? address)
            } catch {
                for listener in listeners { try? await listener.close().get() }
                throw TransportError(.address, "cannot listen on \(address): \(error)")
            }
        }
        return TransportServer(
            addresses: bound, listeners: listeners, registry: registry, logger: logger)
    }

    private static func makeBootstrap(
        _ group: any EventLoopGroup, _ registry: ConnectionRegistry, _ shared: ConnectionContext,
        _ logger: Logger
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: TransportChannel.readAllocator)
            .childChannelOption(
                .writeBufferWaterMark, value: TransportChannel.writeBufferWaterMark
            )
            .childChannelInitializer { channel in
                guard registry.admit(channel) else {
                    logger.warning(
                        "connection refused",
                        metadata: [
                            "remote": "\(channel.remoteAddress?.description ?? "unknown")",
                            "detail":
                                "\(TransportLimits.serverConnectionsMaximum) are open already",
                        ])
                    return channel.eventLoop.makeFailedFuture(
                        TransportError(.closed, "too many connections"))
                }
                return channel.eventLoop.makeCompletedFuture {
                    let ready = channel.eventLoop.makePromise(of: PeerConnection.self)
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: shared.credentials.serverContext),
                        PeerConnectionHandler(shared, ready: ready, logger: logger),
                    ])
                }
            }
    }

    /// The connections that stand now.
    public var connections: [PeerConnection] { registry.connections }

    /// The connections of a node that stand now, to call it back on.
    public func connections(of peer: PeerIdentity) -> [PeerConnection] {
        registry.connections.filter { $0.peer == peer }
    }

    /// Stops listening and closes all connections. Handlers that run go on, their answers are
    /// dropped.
    public func close() async {
        for listener in listeners { try? await listener.close().get() }
        for channel in registry.shutDown() { try? await channel.close().get() }
        logger.debug("server closed")
    }
}
