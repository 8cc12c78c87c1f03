import NIOCore
import NIOPosix
import Synchronization

/// Stands between client and server and loses or holds what the server says.
final class StoreProxy: Sendable {
    private struct State {
        var loses = false
        var holds = false
        var cuts = 0
    }

    let path: String
    private let state = Mutex(State())
    private let listener = Mutex<(any Channel)?>(nil)

    private init(path: String) {
        self.path = path
    }

    static func start(to target: String) async throws -> StoreProxy {
        let proxy = StoreProxy(path: target + "p")
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { inner in
                ClientBootstrap(group: inner.eventLoop)
                    .channelInitializer { outer in
                        outer.eventLoop.makeCompletedFuture {
                            try outer.pipeline.syncOperations.addHandler(
                                Forwarder(peer: inner) { proxy.passes($0) })
                        }
                    }
                    .connect(unixDomainSocketPath: target)
                    .flatMap { outer in
                        inner.eventLoop.makeCompletedFuture {
                            try inner.pipeline.syncOperations.addHandler(
                                Forwarder(peer: outer) { _ in true })
                        }
                    }
            }
            .bind(unixDomainSocketPath: proxy.path).get()
        proxy.listener.withLock { $0 = channel }
        return proxy
    }

    var cuts: Int { state.withLock { $0.cuts } }

    func losesReplies(_ value: Bool) { state.withLock { $0.loses = value } }

    func holdsReplies(_ value: Bool) { state.withLock { $0.holds = value } }

    func stop() async {
        try? await listener.withLock { $0 }?.close()
    }

    /// False: not now. Cuts the connection when replies are lost, greetings excepted.
    private func passes(_ reply: Reply) -> Bool {
        state.withLock { state in
            if state.holds { return false }
            if state.loses && !reply.isFirst {
                state.cuts += 1
                reply.channel.close(promise: nil)
                return false
            }
            return true
        }
    }

    private struct Reply {
        var channel: any Channel
        var isFirst: Bool
    }

    private final class Forwarder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let peer: any Channel
        private let passes: (Reply) -> Bool
        private var isFirst = true

        init(peer: any Channel, passes: @escaping (Reply) -> Bool) {
            self.peer = peer
            self.passes = passes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let reply = Reply(channel: context.channel, isFirst: isFirst)
            isFirst = false
            if passes(reply) { peer.writeAndFlush(unwrapInboundIn(data), promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            peer.close(promise: nil)
            context.fireChannelInactive()
        }
    }
}
