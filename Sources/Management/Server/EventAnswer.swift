import Foundation
import Hummingbird
import ServiceLifecycle

/// The answer that follows events: a line for each, and an empty line now and then, by which a
/// client that has gone away is noticed.
enum EventAnswer {
    static func response(
        _ events: AsyncThrowingStream<ClusterEvent, any Error>, heartbeat: Duration
    ) -> Response {
        let body = ResponseBody { writer in
            let (lines, source) = AsyncStream.makeStream(
                of: Data.self,
                bufferingPolicy: .bufferingOldest(2 * ManagementLimits.eventsMaximum))
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    await pass(events, to: source)
                    source.finish()
                }
                tasks.addTask {
                    while !Task.isCancelled {
                        try await Task.sleep(for: heartbeat)
                        source.yield(Data())
                    }
                }
                // Both end with it, whichever way it goes.
                defer { tasks.cancelAll() }
                for await line in lines {
                    try await writer.write(ByteBuffer(bytes: line + [UInt8(ascii: "\n")]))
                }
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
    }

    /// Until the events or the server end. A client that is so slow that its lines do not fit is
    /// told that some are missing, and must ask again.
    private static func pass(
        _ events: AsyncThrowingStream<ClusterEvent, any Error>,
        to source: AsyncStream<Data>.Continuation
    ) async {
        var last = ManagementError(answering: CancellationError())
        do {
            for try await event in events.cancelOnGracefulShutdown() {
                let line = try ManagementCoding.encode(EventLine.event(event))
                if case .dropped = source.yield(line) {
                    last = .unavailable("events came faster than they were read: ask again")
                    break
                }
            }
        } catch {
            last = ManagementError(answering: error)
        }
        if let line = try? ManagementCoding.encode(EventLine.error(last)) { source.yield(line) }
    }
}
