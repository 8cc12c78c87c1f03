import Foundation
import Glibc

@testable import Fencing

/// The LUN simulator's end of the socket, with one thread: answers each line by a closure.
final class SocketTarget: Sendable {
    let path: String
    private let number: Int32

    /// - Parameter answer: a line for a line; nil closes the connection without one.
    init(_ path: String, answer: @escaping @Sendable ([String: Any]) -> String?) {
        self.path = path
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        self.number = number
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(result == 0 && listen(number, 8) == 0, "no socket at \(path)")
        Thread.detachNewThread {
            while case let client = accept(number, nil, nil), client >= 0 {
                SocketTarget.serve(client, answer)
                close(client)
            }
            // Here, not in deinit: the number must not be another socket's while accept(2) uses it.
            close(number)
        }
    }

    /// Ends the thread.
    deinit { shutdown(number, Int32(SHUT_RDWR)) }

    private static func serve(_ client: Int32, _ answer: ([String: Any]) -> String?) {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(client, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        guard
            let object = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
            let text = answer(object)
        else { return }
        // In two pieces, so that a reader which takes one read for a line is found out.
        let bytes = Array(text.utf8)
        for part in [bytes[..<(bytes.count / 2)], bytes[(bytes.count / 2)...]] {
            _ = Array(part).withUnsafeBytes { write(client, $0.baseAddress, $0.count) }
            usleep(2000)
        }
    }

    /// Serves a model target, as `covol-lun` does its own.
    convenience init(_ path: String, target: ModelTarget) {
        self.init(path) { request in
            guard request["command"] as? String == "scsi", let name = request["path"] as? String,
                let cdb = request["cdb"] as? String
            else { return #"{"error":"what?"}"# + "\n" }
            do throws(FenceError) {
                let answer = try target.answer(
                    path: name, cdb: bytes(cdb), dataOut: bytes(request["data"] as? String ?? ""))
                return """
                    {"status":\(answer.status),"sense":"\(hexadecimal(answer.sense))",\
                    "data":"\(hexadecimal(answer.data))"}

                    """
            } catch {
                return "{\"error\":\"\(error)\"}\n"
            }
        }
    }
}
