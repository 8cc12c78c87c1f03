import Foundation
import Hummingbird

/// The answer to a request whose work takes long: newline-delimited `ProgressEvent`s.
enum ProgressAnswer {
    typealias Progress = @Sendable (String) async -> Void

    /// Runs the work to its end even if its client goes away, and keeps the server from shutting
    /// down before it.
    static func response(
        _ work: @escaping @Sendable (@escaping Progress) async throws -> VolumeSummary?
    ) -> Response {
        let body = ResponseBody { writer in
            let (events, source) = AsyncStream.makeStream(
                of: ProgressEvent.self,
                bufferingPolicy: .bufferingNewest(ManagementLimits.progressMessagesWaitingMaximum))
            // Unstructured: cancelling the request's task must not cancel it.
            let task = Task {
                do {
                    let volume = try await work { message in
                        let limit = ManagementLimits.progressMessageMaximumScalars
                        source.yield(.progress(message.cut(toScalars: limit)))
                    }
                    source.yield(.result(volume))
                } catch {
                    source.yield(.error(ManagementError(answering: error)))
                }
                source.finish()
            }
            do {
                for await event in events {
                    var line = try ManagementCoding.encode(event)
                    line.append(UInt8(ascii: "\n"))
                    try await writer.write(ByteBuffer(bytes: line))
                }
                try await writer.finish(nil)
            } catch {
                await task.value
                throw error
            }
            await task.value
        }
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
    }
}
