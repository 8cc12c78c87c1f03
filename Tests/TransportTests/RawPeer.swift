import ClusterAuthority
import NIOCore
import NIOPosix
import NIOSSL

@testable import Transport

/// A peer with a right certificate that sends whatever a test wants.
final class RawPeer: Sendable {
    private let channel: any Channel
    private let greeted: EventLoopFuture<Void>

    init(of cluster: TestCluster, to address: TransportAddress) async throws {
        let credentials = try cluster.credentials("raw")
        let greeted = cluster.group.any().makePromise(of: Void.self)
        self.greeted = greeted.futureResult
        channel = try await ClientBootstrap(group: cluster.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(
                            context: credentials.clientContext,
                            serverHostname: credentials.dnsName(of: "server")),
                        FirstRead(promise: greeted),
                    ])
                }
            }
            .connect(host: address.host, port: Int(address.port)).get()
    }

    private final class FirstRead: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<Void>

        init(promise: EventLoopPromise<Void>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { promise.succeed(()) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            promise.fail(ChannelError.ioOnClosedChannel)
        }
    }

    func send(_ buffer: ByteBuffer) { channel.writeAndFlush(buffer, promise: nil) }

    func greet() async throws {
        var frame = ByteBuffer()
        FrameHeader(kind: .ping, requestID: 0, bodyBytes: 1, payloadBytes: 0).encode(into: &frame)
        frame.writeInteger(Lane.metadata.rawValue)
        send(frame)
        try await greeted.get()
    }

    func stopReading() async throws {
        try await channel.setOption(ChannelOptions.autoRead, value: false).get()
    }

    func waitUntilClosed() async { try? await channel.closeFuture.get() }

    func close() async { try? await channel.close().get() }
}
