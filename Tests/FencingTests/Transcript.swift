import Foundation
import Synchronization

@testable import Fencing

/// A recorded conversation with a real target, replayed: each command must come in its turn, on its
/// path, with exactly the recorded bytes.
final class Transcript: Sendable {
    struct Exchange {
        let path: String
        let cdb: String
        let dataOut: String
        let answer: SCSIResponse
    }

    private let left: Mutex<[Exchange]>

    /// - Parameter name: a file in `Recorded`.
    init(_ name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Recorded/\(name).txt")
        var exchanges: [Exchange] = []
        var command: [Substring] = []
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 3, words[1] == ">" { command = words }
            guard words.count == 5, words[1] == "<" else { continue }
            exchanges.append(
                Exchange(
                    path: String(words[0]), cdb: String(command[2]),
                    dataOut: command.count > 3 ? String(command[3]) : "",
                    answer: SCSIResponse(
                        status: UInt8(words[2], radix: 16)!,
                        sense: bytes(words[3].dropFirst("sense=".count)),
                        data: bytes(words[4].dropFirst("data=".count)))))
        }
        precondition(!exchanges.isEmpty, "a transcript without answers")
        left = Mutex(exchanges)
    }

    func reservations(_ path: String) -> PersistentReservations {
        PersistentReservations(RecordedPath(name: path, transcript: self)) { _ in }
    }

    /// Sends what no method of ours sends, a write for one, as it was recorded.
    func passNext() -> SCSIResponse { left.withLock { $0.removeFirst().answer } }

    var isAtEnd: Bool { left.withLock(\.isEmpty) }

    fileprivate func answer(
        path: String, cdb: [UInt8], dataOut: [UInt8]
    ) throws(FenceError) -> SCSIResponse {
        let sent = (path, hexadecimal(cdb), hexadecimal(dataOut))
        let next = left.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let next, (next.path, next.cdb, next.dataOut) == sent else {
            let recorded = next.map { "\($0.path) > \($0.cdb) \($0.dataOut)" } ?? "the end"
            throw .transport("recorded is \(recorded), sent was \(sent)")
        }
        return next.answer
    }
}

private struct RecordedPath: SCSITransport {
    let name: String
    let transcript: Transcript

    func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        try transcript.answer(path: name, cdb: cdb, dataOut: dataOut)
    }
}

func bytes(_ digits: some StringProtocol) -> [UInt8] {
    let digits = Array(digits.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { start in
        UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16)!
    }
}
