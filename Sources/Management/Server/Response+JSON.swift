import Foundation
import Hummingbird

extension Response {
    static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try ManagementCoding.encode(value))))
    }

    static func json(_ error: ManagementError) throws -> Response {
        try json(ErrorBody(error), status: HTTPResponse.Status(code: error.status))
    }
}
