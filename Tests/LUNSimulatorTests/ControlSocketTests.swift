import Foundation
import Glibc
import LUNSimulator
import Testing

@testable import LUNSimulator

@Suite(
    .enabled(if: LUNFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct ControlSocketTests {
    @Test func commandsAreAnswered() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try fixture.reserveForAll()
        let status = try fixture.ask(["command": "status"])
        #expect(status["sizeBytes"] as? Int == LUNFixture.sizeBytes)
        let reservation = try #require(status["reservation"] as? [String: Any])
        #expect(reservation["type"] as? Int == 8 && reservation["maker"] as? String == "node1")
        #expect(try fixture.status(2)["key"] as? String == "0x0000000000000012")
        let keys = try fixture.ask([
            "command": "scsi", "path": "node3",
            "cdb": LUNFixture.hexadecimal(CDB.reserveIn(0)),
        ])
        #expect(
            keys["data"] as? String
                == "00000003" + "00000018" + "0000000000000011" + "0000000000000012"
                + "0000000000000013")
        #expect(keys["status"] as? Int == 0 && keys["sense"] as? String == "")
        let unknown = try fixture.ask(["command": "scsi", "path": "node3", "cdb": "ff0000000000"])
        #expect(unknown["status"] as? Int == 2)
        #expect((unknown["sense"] as? String)?.hasPrefix("700005") == true)
    }

    @Test func badRequestsGetAnError() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let bad: [String] = [
            "", "x", "[]", "{}", "{\"command\":7}", "{\"command\":\"nothing\"}",
            "{\"command\":\"fault\"}", "{\"command\":\"fault\",\"path\":\"node9\"}",
            "{\"command\":\"fault\",\"path\":\"node1\"}",
            "{\"command\":\"fault\",\"path\":\"node1\",\"kind\":\"burn\"}",
            "{\"command\":\"fault\",\"path\":\"node1\",\"kind\":\"slow\"}",
            "{\"command\":\"fault\",\"path\":\"node1\",\"kind\":\"slow\",\"milliseconds\":-1}",
            "{\"command\":\"scsi\",\"path\":\"node1\"}",
            "{\"command\":\"scsi\",\"path\":\"node1\",\"cdb\":\"0\"}",
            "{\"command\":\"scsi\",\"path\":\"node1\",\"cdb\":\"zz0000000000\"}",
            "{\"command\":\"scsi\",\"path\":\"node1\",\"cdb\":\"00\"}",
            "{\"command\":\"scsi\",\"path\":\"node1\",\"cdb\":\"000000000000\",\"data\":\"+1\"}",
            "{\"command\":\"accesses\",\"sinceSequence\":-1}",
        ]
        for line in bad {
            let answer = try fixture.ask(Array(line.utf8))
            #expect(answer["error"] is String && answer.count == 1, "\(line)")
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let line = (0..<Int.random(in: 1...80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }.filter { $0 != UInt8(ascii: "\n") }
            #expect(try fixture.ask(line)["error"] is String)
        }
        let number = try fixture.connection()
        defer { close(number) }
        let endless = [UInt8](repeating: 32, count: LUNLimits.lineMaximumBytes + 4096)
        _ = send(number, endless, endless.count, Int32(MSG_NOSIGNAL))
        let answer = String(decoding: LUNFixture.readLine(number), as: UTF8.self)
        #expect(answer.contains("error"))
    }

    @Test func manyClientsAndLinesInOnePiece() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let connections = try (0..<40).map { _ in try fixture.connection() }
        defer { for number in connections { close(number) } }
        let two = Array("{\"command\":\"status\"}\n{\"command\":\"status\"}\n".utf8)
        for number in connections {
            #expect(send(number, two, two.count, Int32(MSG_NOSIGNAL)) == two.count)
        }
        for number in connections {
            var text = ""
            while text.filter({ $0 == "\n" }).count < 2 {
                let piece = String(decoding: LUNFixture.readLine(number), as: UTF8.self)
                guard !piece.isEmpty else { break }
                text += piece
            }
            #expect(text.split(separator: "\n").count == 2)
        }
    }

    /// A SCSI command meets its path's fault; others do not wait for it.
    @Test func commandsMeetThePathsFault() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let ready: [String: Any] = ["command": "scsi", "path": "node1", "cdb": "000000000000"]
        try fixture.fault(1, "fail")
        #expect(try fixture.ask(ready)["error"] is String)
        try fixture.fault(1, "hang")
        let line = try JSONSerialization.data(withJSONObject: ready)
        let hanging = Pending { (try? fixture.ask(Array(line)))?["status"] as? Int }
        usleep(100_000)
        #expect(hanging.now == nil)
        try fixture.reserveForTwo()
        try fixture.fault(1, "restore")
        #expect(hanging.wait() == 0)
        try fixture.fault(1, "slow", milliseconds: 200)
        let start = Date()
        #expect(try fixture.ask(ready)["status"] as? Int == 0)
        #expect(Date().timeIntervalSince(start) >= 0.2)
    }

    @Test func writesAreLoggedToAFile() throws {
        let fixture = try LUNFixture(log: true)
        defer { fixture.end() }
        let writer = try #require(try AccessLogWriter.start(fixture.lun))
        for index in 0..<10 {
            #expect(PathIO.write(fixture.path(1 + index % 3), 1, at: index * 4096) == 0)
        }
        writer.stop()
        let text = try String(contentsOfFile: fixture.directory + "/writes.log", encoding: .utf8)
        let lines = text.split(separator: "\n")
        let entries = try lines.map {
            try JSONDecoder().decode(ControlAccesses.Entry.self, from: Data($0.utf8))
        }
        #expect(entries.map(\.sequence) == Array(1...10))
        #expect(entries.map(\.offset) == (0..<10).map { UInt64($0) * 4096 })
        #expect(entries.allSatisfy { $0.landedNanoseconds >= $0.startedNanoseconds })
    }

    @Test func aSecondSimulatorIsRefused() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        #expect(throws: LUNError.self) { try ControlServer.start(fixture.lun) }
        #expect(throws: LUNError.self) { try SimulatedLUN.start(fixture.lun.configuration) }
        var elsewhere = fixture.lun.configuration
        elsewhere.directory = fixture.directory + "/x"
        #expect {
            _ = try SimulatedLUN.start(elsewhere)
        } throws: { "\($0)".contains("in use by another") }
        #expect(PathIO.write(fixture.path(1), 1, at: 0) == 0)
        for paths in [[], ["a", "a"], [""], ["a/b"], [".."]] as [[String]] {
            let configuration = LUNConfiguration(
                image: fixture.image, directory: fixture.directory + "/x", paths: paths,
                socket: fixture.directory + "/x.sock")
            #expect(throws: LUNError.self) { try SimulatedLUN.start(configuration) }
        }
    }
}

extension LUNFixture {
    /// By two paths only, past a third that hangs.
    func reserveForTwo() throws {
        for number in 2...3 {
            #expect(try reserveOut(6, key: 0, service: 0x10 + UInt64(number), by: number) == 0)
        }
    }
}
