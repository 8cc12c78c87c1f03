import Foundation
import NIOCore
import NIOPosix

/// A connection to a QEMU's monitor (QMP, docs/interop/qmp-spec of QEMU).
public actor QMPConnection {
    /// What QEMU says unasked.
    public struct Event: Sendable {
        public var name: String
        public var data: JSONValue
    }

    /// QEMU answers nothing while it waits for its disks: as long as a volume's coordinator changes.
    private static let commandTimeout = Duration.seconds(60)
    private let channel: any Channel
    private var waiting: [Int64: CheckedContinuation<JSONValue, any Error>] = [:]
    private var lastID: Int64 = 0
    private var isClosed = false
    /// Ends with the connection. For one reader.
    public nonisolated let events: AsyncStream<Event>
    private let source: AsyncStream<Event>.Continuation

    /// Connects, and leaves the monitor ready for commands.
    ///
    /// - Parameters:
    ///   - timeout: for the socket to appear and to answer.
    ///   - isAlive: whether there is still somebody to wait for.
    public static func connect(
        path: String, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        timeout: Duration = .seconds(10), while isAlive: () -> Bool = { true }
    ) async throws -> QMPConnection {
        let deadline = ContinuousClock.now + timeout
        while true {
            let (lines, source) = AsyncStream.makeStream(of: [UInt8].self)
            do {
                let channel = try await ClientBootstrap(group: group)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandlers(
                                [ByteToMessageHandler(LineDecoder()), LineHandler(source: source)])
                        }
                    }
                    .connect(unixDomainSocketPath: path).get()
                let connection = QMPConnection(channel: channel)
                Task { await connection.read(lines) }
                _ = try await connection.execute("qmp_capabilities")
                return connection
            } catch {
                source.finish()
                guard ContinuousClock.now < deadline, isAlive() else {
                    throw MachineError("QEMU's monitor at \(path) does not answer: \(error)")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private init(channel: any Channel) {
        self.channel = channel
        (events, source) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingNewest(256))
    }

    /// - Returns: what QEMU answers.
    /// - Throws: ``MachineError`` with QEMU's words, or where the connection ends or is silent.
    @discardableResult
    public func execute(
        _ command: String, _ arguments: JSONValue? = nil
    ) async throws -> JSONValue {
        guard !isClosed else { throw MachineError("QEMU is gone") }
        lastID += 1
        let id = lastID
        var message: [String: JSONValue] = ["execute": .string(command), "id": .integer(id)]
        message["arguments"] = arguments
        var bytes = ByteBuffer(bytes: try JSONEncoder().encode(JSONValue.object(message)))
        bytes.writeString("\n")
        let timer = Task {
            try await Task.sleep(for: Self.commandTimeout)
            self.fail(id, MachineError("QEMU does not answer \(command)"))
        }
        defer { timer.cancel() }
        let line = bytes
        return try await withCheckedThrowingContinuation { continuation in
            waiting[id] = continuation
            channel.writeAndFlush(line, promise: nil)
        }
    }

    public func close() async {
        try? await channel.close().get()
    }

    private func fail(_ id: Int64, _ error: any Error) {
        waiting.removeValue(forKey: id)?.resume(throwing: error)
    }

    private func read(_ lines: AsyncStream<[UInt8]>) async {
        for await line in lines {
            guard let message = try? JSONDecoder().decode(JSONValue.self, from: Data(line)) else {
                continue
            }
            if let name = message["event"]?.text {
                source.yield(Event(name: name, data: message["data"] ?? .null))
            } else if case .integer(let id)? = message["id"] {
                if let error = message["error"] {
                    fail(id, MachineError(error["desc"]?.text ?? "QEMU refuses"))
                } else {
                    waiting.removeValue(forKey: id)?.resume(returning: message["return"] ?? .null)
                }
            }
        }
        isClosed = true
        for (_, continuation) in waiting {
            continuation.resume(throwing: MachineError("QEMU is gone"))
        }
        waiting = [:]
        source.finish()
    }
}

/// Cuts what comes into lines.
private struct LineDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer
    /// No answer of QEMU's is that long.
    private static let lineMaximumBytes = 4 << 20

    mutating func decode(
        context: ChannelHandlerContext, buffer: inout ByteBuffer
    ) throws -> DecodingState {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
            guard buffer.readableBytes <= Self.lineMaximumBytes else {
                throw MachineError("an endless line from QEMU's monitor")
            }
            return .needMoreData
        }
        guard let line = buffer.readSlice(length: end - buffer.readerIndex + 1) else {
            return .needMoreData
        }
        context.fireChannelRead(wrapInboundOut(line))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        try decode(context: context, buffer: &buffer)
    }
}

private final class LineHandler: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let source: AsyncStream<[UInt8]>.Continuation

    init(source: AsyncStream<[UInt8]>.Continuation) { self.source = source }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        source.yield(Array(unwrapInboundIn(data).readableBytesView))
    }

    func channelInactive(context: ChannelHandlerContext) { source.finish() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
