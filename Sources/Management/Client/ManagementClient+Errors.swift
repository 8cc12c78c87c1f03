import AsyncHTTPClient
import Foundation
import NIOCore

extension ManagementClient {
    static func badAnswer(_ problem: String) -> ManagementError {
        ManagementError(
            code: "bad-answer",
            message: "the daemon's answer cannot be read: \(problem); "
                + "the daemon and covol may be of different versions",
            status: 502)
    }

    static let interrupted = ManagementError(
        code: "interrupted",
        message: "the daemon's answer ended early: look at the daemon's log, and at "
            + "`covol volume list` for what was done",
        status: 502)

    /// What an answer of another status than 200 says.
    func refusal(_ response: HTTPClientResponse) async -> ManagementError {
        let status = Int(response.status.code)
        guard (400...599).contains(status),
            let bytes = try? await response.body.collect(
                upTo: ManagementLimits.requestBodyMaximumBytes),
            let body = try? ManagementCoding.decode(
                ErrorBody.self, from: Data(bytes.readableBytesView))
        else {
            return Self.badAnswer("it has the status \(status) and no message")
        }
        return ManagementError(
            code: body.error.code, message: body.error.message, status: status)
    }

    /// What an error of the connection means to the caller.
    func failure(_ error: any Error) -> any Error {
        switch error {
        case is ManagementError, is CancellationError: error
        case let error as IOError where [EACCES, EPERM].contains(error.errnoCode):
            ManagementUnreachable(
                socketPath: socketPath, reason: Self.text(error.errnoCode),
                advice: ManagementUnreachable.permissionAdvice)
        case let error as IOError where [ECONNRESET, EPIPE].contains(error.errnoCode):
            Self.interrupted
        case let error as IOError:
            ManagementUnreachable(socketPath: socketPath, reason: Self.text(error.errnoCode))
        case is SocketAddressError:
            ManagementUnreachable(
                socketPath: socketPath, reason: "the path is too long for a Unix socket")
        case let error as HTTPClientError: failure(error)
        case is NIOTooManyBytesError:
            Self.badAnswer(
                "it is longer than \(ManagementLimits.responseBodyMaximumBytes) bytes")
        default: Self.badAnswer(String(describing: error))
        }
    }

    private func failure(_ error: HTTPClientError) -> any Error {
        switch error {
        case .connectTimeout, .getConnectionFromPoolTimeout:
            ManagementUnreachable(socketPath: socketPath, reason: "it does not take connections")
        case .deadlineExceeded, .readTimeout:
            ManagementError(
                code: "timeout",
                message: "the daemon did not answer in time: look at its log, then try again",
                status: 504)
        case .remoteConnectionClosed: Self.interrupted
        case .cancelled: CancellationError()
        default: Self.badAnswer(String(describing: error))
        }
    }

    private static func text(_ errno: CInt) -> String {
        String(cString: strerror(errno))
    }
}
