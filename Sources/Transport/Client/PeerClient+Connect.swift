import Logging
import NIOCore
import NIOPosix
import NIOSSL

extension PeerClient {
    /// Keeps one connection of a lane, until the task is cancelled.
    func keepConnected(_ lane: Lane) async {
        var backoff = configuration.backoff
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            for address in addresses where !Task.isCancelled {
                do {
                    let connection = try await connect(lane, to: address)
                    backoff.reset()
                    await connection.waitUntilClosed()
                    break
                } catch {
                    state.failed(error)
                    logger.debug(
                        "no connection",
                        metadata: ["address": "\(address)", "detail": "\(error.message)"])
                }
            }
            try? await Task.sleep(for: backoff.delay(using: &generator))
        }
    }

    private func connect(
        _ lane: Lane, to address: TransportAddress
    ) async throws(TransportError) -> PeerConnection {
        let ready = group.any().makePromise(of: PeerConnection.self)
        let context = ConnectionContext(
            role: .client(node: peer.node, lane: lane), credentials: credentials,
            handlers: state.observing(handlers), configuration: configuration.connection)
        let serverName = credentials.dnsName(of: peer.node)
        let logger = self.logger
        let attempt = ConnectAttempt()
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: TransportChannel.readAllocator)
            .channelOption(.writeBufferWaterMark, value: TransportChannel.writeBufferWaterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try attempt.began(channel)
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(
                            context: context.credentials.clientContext,
                            serverHostname: serverName),
                        PeerConnectionHandler(context, ready: ready, logger: logger),
                    ])
                }
            }
        bootstrap.connect(host: address.host, port: Int(address.port)).whenFailure { error in
            ready.fail(TransportError(.address, "cannot reach \(address): \(error)"))
        }
        do {
            return try await withTaskCancellationHandler {
                try await ready.futureResult.get()
            } onCancel: {
                attempt.cancel()
            }
        } catch {
            throw error as? TransportError
                ?? TransportError(.address, "cannot reach \(address): \(error)")
        }
    }
}
