import Foundation
import Testing

@testable import LUNSimulator

/// The target answers as a real one did: the recordings of tgt in `Tests/FencingTests/Recorded`.
@Suite struct RecordedTargetTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "FencingTests/Recorded")

    private struct Step {
        var path: String
        var cdb: [UInt8]
        var data: [UInt8]
        var status: UInt8
        var sense: [UInt8]
        var answer: [UInt8]
    }

    /// `PATH > CDB DATA` and then `PATH < STATUS sense=… data=…`.
    private static func steps(_ name: String) throws -> [Step] {
        let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
        var steps: [Step] = []
        var sent: [Substring] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            if words[1] == ">" {
                sent = words
                continue
            }
            func bytes(_ word: Substring?) throws -> [UInt8] {
                let digits = word.map { $0.split(separator: "=").count > 1 || !$0.contains("=") }
                let last = word?.split(separator: "=").last ?? ""
                return digits == true ? try #require(Hexadecimal.bytes(String(last))) : []
            }
            steps.append(
                Step(
                    path: String(sent[0]), cdb: try bytes(sent[2]),
                    data: try bytes(sent.dropFirst(3).first),
                    status: try #require(UInt8(words[2], radix: 16)),
                    sense: try bytes(words[3]), answer: try bytes(words[4])))
        }
        return steps
    }

    @Test(arguments: ["tgt-attach.txt", "tgt-foreign.txt", "tgt-preempt.txt", "tgt-truncated.txt"])
    func answersAreTheSame(name: String) throws {
        var target = ReservationTarget(
            paths: ["node1", "node2", "other"], supportsPersistence: false)
        var compared = 0
        for step in try Self.steps(name) {
            // The unit attention of a new session (29h), which a path here does not have.
            if step.sense.count > 12 && step.sense[12] == 0x29 { continue }
            // That target has no PREEMPT AND ABORT.
            if step.cdb[0] == 0x5f && step.cdb[1] == 5 { continue }
            let response = target.execute(
                cdb: step.cdb, dataOut: step.data, from: step.path
            ).response
            // READ and WRITE come by the path's file here; but they take unit attentions.
            if [0x28, 0x2a].contains(step.cdb[0]) { continue }
            let command = Hexadecimal.text(step.cdb)
            #expect(response.status.rawValue == step.status, "\(step.path) > \(command)")
            // Past the generation: that target counts a PREEMPT that it refuses, against SPC-4.
            let generationBytes = step.cdb[1] < 2 ? 4 : 0
            #expect(
                response.data.dropFirst(generationBytes) == step.answer.dropFirst(generationBytes),
                "\(step.path) > \(command)")
            #expect(
                response.sense.dropFirst(2).first == step.sense.dropFirst(2).first,
                "\(step.path) > \(command)")
            compared += 1
        }
        #expect(compared >= 4)
    }
}
