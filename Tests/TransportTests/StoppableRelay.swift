import NIOCore
import NIOPosix
import Synchronization

@testable import Transport

/// Passes bytes between clients and a server, until it is told to pass none: a cut network, which
/// no socket reports.
final class StoppableRelay: Sendable {
    private let listener: any Channel
    private let stopFlag: Shared
    private let opened: Opened
    let address: TransportAddress

    private final class Pass: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let other: any Channel
        let isStopped: @Sendable () -> Bool

        init(to other: any Channel, isStopped: @escaping @Sendable () -> Bool) {
            self.other = other
            self.isStopped = isStopped
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if !isStopped() { other.writeAndFlush(unwrapInboundIn(data), promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    }

    init(to server: TransportAddress, group: any EventLoopGroup) async throws {
        let stop = Shared()
        let opened = Opened()
        listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { inner in
                opened.append(inner)
                return ClientBootstrap(group: inner.eventLoop)
                    .connect(host: server.host, port: Int(server.port))
                    .flatMap { outer in
                        opened.append(outer)
                        return outer.pipeline.addHandler(Pass(to: inner, isStopped: stop.get))
                            .flatMap {
                                inner.pipeline.addHandler(Pass(to: outer, isStopped: stop.get))
                            }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        address = TransportAddress(listener.localAddress)!
        self.stopFlag = stop
        self.opened = opened
    }

    private final class Shared: Sendable {
        private let value = Atomic<Bool>(false)
        @Sendable func get() -> Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    private final class Opened: Sendable {
        private let channels = Mutex<[any Channel]>([])
        func append(_ channel: any Channel) { channels.withLock { $0.append(channel) } }
        var all: [any Channel] { channels.withLock { $0 } }
    }

    func stop() { stopFlag.set() }

    func close() async {
        try? await listener.close().get()
        for channel in opened.all { try? await channel.close().get() }
    }
}
