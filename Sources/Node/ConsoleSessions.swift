import Foundation
import Locking
import Management
import NIOCore
import NIOPosix

/// The sessions at consoles of this node's machines, one at a time for each: QEMU's socket takes one
/// client, and would let a second one wait in silence.
actor ConsoleSessions {
    private struct Session {
        var id: String
        /// Where its client is.
        var node: String
        var link: ConsoleLink
        var lastUse: ContinuousClock.Instant
    }

    private var sessions: [String: Session] = [:]

    /// Why there is no session; nil: there is.
    func open(_ id: String, of machine: String, socket: String, from node: String) async -> String?
    {
        if let problem = use(of: machine, by: id) { return problem }
        let link: ConsoleLink
        do { link = try await ConsoleLink.connect(socket) } catch { return "\(error)" }
        if let problem = use(of: machine, by: id) {
            link.close()
            return problem
        }
        sessions[machine]?.link.close()
        sessions[machine] = Session(id: id, node: node, link: link, lastUse: .now)
        watch(id, of: machine)
        return nil
    }

    /// Types what was typed, and returns what the guest wrote.
    func take(
        _ exchange: ConsoleExchange, of machine: String, node: String
    ) async -> ConsoleAnswer {
        guard let link = touch(exchange.session, of: machine) else {
            return ConsoleAnswer(node: node, isOver: true)
        }
        link.write(exchange.input)
        var (output, dropped, isOver) = (Data(), 0, link.isOver)
        // Not by other turns as well: two answers under way may come in any order.
        if exchange.waits {
            await link.waitForOutput(seconds: ConsoleExchange.waitSeconds)
            (output, dropped, isOver) = link.take()
        }
        _ = touch(exchange.session, of: machine)
        if isOver || exchange.isLast { end(exchange.session, of: machine) }
        return ConsoleAnswer(
            node: node, output: output, droppedBytes: dropped, isOver: isOver || exchange.isLast)
    }

    private func use(of machine: String, by id: String) -> String? {
        guard let session = sessions[machine], session.id != id, !session.link.isOver else {
            return nil
        }
        return "it is in use on \(session.node); that session ends with Ctrl-]"
    }

    private func touch(_ id: String, of machine: String) -> ConsoleLink? {
        guard sessions[machine]?.id == id else { return nil }
        sessions[machine]?.lastUse = .now
        return sessions[machine]?.link
    }

    private func end(_ id: String, of machine: String) {
        guard sessions[machine]?.id == id else { return }
        sessions.removeValue(forKey: machine)?.link.close()
    }

    /// Ends a session whose client has gone without a word.
    private func watch(_ id: String, of machine: String) {
        Task {
            while let session = sessions[machine], session.id == id {
                let left = .seconds(ConsoleExchange.idleSeconds) - (.now - session.lastUse)
                guard left > .zero else { return end(id, of: machine) }
                try? await Task.sleep(for: left)
            }
        }
    }
}

/// One connection to the socket of a console. What nobody takes in time is dropped, the oldest first: a
/// guest never waits for who looks at it.
private final class ConsoleLink: Sendable {
    private static let outputMaximumBytes = 256 << 10

    private struct State {
        var output: [UInt8] = []
        var dropped = 0
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Lock(State())
    private let channel = Lock<(any Channel)?>(nil)

    static func connect(_ socket: String) async throws -> ConsoleLink {
        let link = ConsoleLink()
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(link: link))
                }
            }
            .connect(unixDomainSocketPath: socket).get()
        link.channel.withLock { $0 = channel }
        return link
    }

    var isOver: Bool { state.withLock { $0.isOver } }

    func write(_ bytes: Data) {
        guard !bytes.isEmpty, let channel = channel.withLock({ $0 }) else { return }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func close() { channel.withLock { $0 }?.close(promise: nil) }

    func take() -> (output: Data, dropped: Int, isOver: Bool) {
        state.withLock { state in
            let output = Data(state.output.prefix(ConsoleExchange.outputMaximumBytes))
            state.output.removeFirst(output.count)
            defer { state.dropped = 0 }
            return (output, state.dropped, state.isOver && state.output.isEmpty)
        }
    }

    /// Returns when there is output, the connection is over, another waits, or it took so long.
    func waitForOutput(seconds: Double) async {
        let timer = Task {
            try await Task.sleep(for: .seconds(seconds))
            wake()
        }
        defer { timer.cancel() }
        await withCheckedContinuation { continuation in
            let resumed = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard state.output.isEmpty, !state.isOver else { return continuation }
                defer { state.waiter = continuation }
                return state.waiter
            }
            resumed?.resume()
        }
    }

    private func wake(_ change: @Sendable (inout State) -> Void = { _ in }) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func append(_ bytes: [UInt8]) {
        wake { state in
            state.output += bytes
            let excess = state.output.count - Self.outputMaximumBytes
            guard excess > 0 else { return }
            state.output.removeFirst(excess)
            state.dropped += excess
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let link: ConsoleLink

        init(link: ConsoleLink) { self.link = link }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            link.append(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) {
            link.wake { $0.isOver = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
