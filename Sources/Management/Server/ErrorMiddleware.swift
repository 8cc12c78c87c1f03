import Hummingbird
import NIOCore

/// Turns whatever a handler throws into the API's error answer.
struct ErrorMiddleware<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            let unknown = ManagementError(
                code: "no-such-endpoint",
                message: "\(request.method) \(request.uri.path) is not part of this daemon's API: "
                    + "the daemon and its client may be of different versions",
                status: 404)
            return try .json(unknown)
        } catch {
            return try .json(ManagementError(answering: error))
        }
    }
}

extension ManagementError {
    /// The answer to an error that may be anything.
    init(answering error: any Error) {
        self =
            switch error {
            case let error as ManagementError: error
            case is NIOTooManyBytesError:
                ManagementError(
                    code: "too-large",
                    message: "the request's body is longer than "
                        + "\(ManagementLimits.requestBodyMaximumBytes) bytes",
                    status: 413)
            case is CancellationError:
                .unavailable("the daemon is shutting down: try again when it is back")
            case let error as HTTPError where (400...599).contains(error.status.code):
                ManagementError(
                    code: "invalid-request", message: error.body ?? error.status.reasonPhrase,
                    status: error.status.code)
            default: .internal(String(describing: error))
            }
    }
}
