import Foundation
import Testing
import VolumeModel

@testable import Management

@Suite("JSON shapes, which programs depend on")
struct ShapeTests {
    private func json(_ value: some Encodable) throws -> String {
        String(decoding: try ManagementCoding.encode(value), as: UTF8.self)
    }

    @Test func volume() throws {
        var volume = FakeBackend.volume("images")
        #expect(
            try json(volume)
                == #"{"coordinator":"node1","device":"/dev/sdb","epoch":3,"failover":"Manual","#
                + #""fence":"none","fenceProblem":null,"filesystem":"xfs","id":"5c1d","#
                + #""name":"images","path":"/clusterstorage/images","redirected":{},"#
                + #""sizeBytes":2147483648,"usedBytes":1048576}"#)
        volume.coordinator = nil
        volume.usedBytes = nil
        let text = try json(volume)
        #expect(text.contains(#""coordinator":null"#))
        #expect(text.contains(#""usedBytes":null"#))
        #expect(try ManagementCoding.decode(VolumeSummary.self, from: Data(text.utf8)) == volume)
    }

    @Test func state() async throws {
        #expect(
            try json(await FakeBackend().volumeStates())
                == #"[{"coordinator":"node1","detail":null,"node":"node1","reason":null,"#
                + #""reasons":[],"state":"Direct","volume":"Volume1"},{"coordinator":null,"#
                + #""detail":"the path is probed every second","node":"node2","#
                + #""reason":"NoDiskConnectivity","reasons":["NoDiskConnectivity","UserRequest"],"#
                + #""state":"Redirected","volume":"Volume1"}]"#)
    }

    @Test func event() throws {
        #expect(
            try json(FakeBackend.event(3))
                == #"{"cause":"heartbeats missed","durationSeconds":1.5,"kind":"node-lost","#
                + #""node":"node2","outcome":null,"sequence":3,"severity":"warning","#
                + #""text":"node2 is lost","time":"2026-11-22T21:50:00.125Z","volume":"Volume1"}"#)
    }

    /// Kinds are an interface: programs compare them.
    @Test func eventKinds() {
        #expect(
            ClusterEventKind.allCases.map(\.rawValue) == [
                "node-joined", "node-left", "node-lost", "node-forgotten", "fenced",
                "fence-failed", "coordinator-moved", "coordinator-lost", "coordinator-took-over",
                "failover-waits", "redirected", "direct", "opens-lost", "mount-resumed",
                "requests-lost",
                "path-lost", "path-back",
                "volume-added", "volume-removed", "volume-renamed", "volume-changed",
                "machine-runs", "machine-moved", "machine-restarted", "machine-failed",
                "machine-halted", "machine-resumed", "node-drained", "node-resumed", "store-lost",
                "store-back",
            ])
    }

    @Test(arguments: ["node1", "a", "0", "x-1", String(repeating: "n", count: 63)])
    func goodNodeNames(name: String) throws {
        try NodeName.validate(name)
    }

    @Test(arguments: [
        "", "-a", "a-", "Node1", "a.b", "a_b", "a/b", "ü", String(repeating: "n", count: 64),
    ])
    func badNodeNames(name: String) {
        #expect(throws: ManagementError.self) { try NodeName.validate(name) }
    }

    @Test func node() async throws {
        #expect(
            try json(await FakeBackend().nodes())
                == #"[{"addresses":["10.0.0.1:7400"],"coordinatorOf":["Volume1"],"#
                + #""incarnation":"ffffffffffffffff","name":"node1","state":"Up"}]"#)
    }

    @Test func cluster() async throws {
        #expect(
            try json(await FakeBackend().cluster())
                == #"{"id":"c1","name":"lab","node":"node1","nodeCount":3,"store":"unix:/run/s","#
                + #""volumeCount":1}"#)
    }

    @Test func statistics() async throws {
        #expect(
            try json(await FakeBackend().statistics())
                == #"[{"directReadBytes":18446744073709551615,"directReads":7,"directWriteBytes":0,"#
                + #""directWrites":0,"metadataCached":0,"metadataOperations":0,"node":"node2","#
                + #""recalls":0,"redirectedReadBytes":0,"redirectedReads":0,"#
                + #""redirectedWriteBytes":0,"redirectedWrites":0,"volume":"Volume1"}]"#)
    }

    @Test(arguments: [
        (ExtentState.written, "8192", "written"), (.hole, "null", "hole"),
        (.unwritten, "8192", "unwritten"), (.shared, "8192", "shared"), (.opaque, "null", "opaque"),
    ])
    func fileMap(state: ExtentState, lun: String, name: String) throws {
        let extent = Extent(
            fileOffsetBytes: 4096, lunOffsetBytes: 8192, lengthBytes: 4096, state: state)
        #expect(
            try json(FileMapExtent(extent))
                == #"{"fileOffsetBytes":4096,"lengthBytes":4096,"lunOffsetBytes":\#(lun),"#
                + #""state":"\#(name)"}"#)
    }

    @Test(arguments: ["Volume1", "a", "A-b_c.d", "0", "_x", String(repeating: "n", count: 64)])
    func goodNames(name: String) throws {
        try VolumeName.validate(name)
    }

    @Test(arguments: [
        "", ".", "..", ".x", "-x", "a/b", "a b", "ü", "a\n", "a\0", "a%2f",
        String(repeating: "n", count: 65),
    ])
    func badNames(name: String) {
        let error = #expect(throws: ManagementError.self) { try VolumeName.validate(name) }
        #expect(error?.code == "invalid-name")
        #expect(error?.status == 400)
    }

    @Test func linesAreCutWhereverTheBytesAre() throws {
        let text = Array("ab\n\ncd\nrest".utf8)
        for size in 1...text.count {
            var splitter = LineSplitter(maximumBytes: 4)
            var lines: [Data] = []
            for start in stride(from: 0, to: text.count, by: size) {
                lines += try splitter.append(text[start..<min(start + size, text.count)])
            }
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["ab", "", "cd"])
        }
    }

    @Test func aLineThatIsTooLong() {
        var splitter = LineSplitter(maximumBytes: 4)
        #expect(throws: ManagementError.self) { try splitter.append("12345".utf8) }
    }

    /// What the server sends fits into what the client takes.
    @Test func limitsFitTogether() throws {
        let extent = FileMapExtent(
            Extent(
                fileOffsetBytes: .max, lunOffsetBytes: .max, lengthBytes: .max, state: .unwritten))
        let row = try ManagementCoding.encode(extent).count + 1
        #expect(
            row * ManagementLimits.fileMapPageMaximumExtents + 100
                < ManagementLimits.responseBodyMaximumBytes)
        // The longest that JSON makes of a scalar is six bytes.
        let worst = String(repeating: "\u{1}", count: 100_000)
        let error = ManagementError.internal(worst)
        let line = try ManagementCoding.encode(ProgressEvent.error(error)).count
        #expect(line < ManagementLimits.progressLineMaximumBytes)
        #expect(line > ManagementLimits.errorMessageMaximumScalars)
        let steps = try ManagementCoding.encode(
            ProgressEvent.progress(
                worst.cut(toScalars: ManagementLimits.progressMessageMaximumScalars)))
        #expect(steps.count < ManagementLimits.progressLineMaximumBytes)
        let event = ClusterEvent(
            sequence: .max, time: .distantFuture, kind: .coordinatorTookOver, severity: .warning,
            volume: String(repeating: "v", count: ManagementLimits.volumeNameMaximumCharacters),
            node: String(repeating: "n", count: 63), cause: worst, outcome: worst,
            durationSeconds: .leastNonzeroMagnitude, text: worst)
        let eventBytes = try ManagementCoding.encode(EventLine.event(event)).count
        #expect(eventBytes < ManagementLimits.progressLineMaximumBytes)
        #expect(
            eventBytes * ManagementLimits.eventsMaximum
                < ManagementLimits.responseBodyMaximumBytes)
        let path = String(repeating: "\u{1}", count: ManagementLimits.pathMaximumBytes)
        let request = try ManagementCoding.encode(FileMapRequest(path: path))
        #expect(request.count < ManagementLimits.requestBodyMaximumBytes)
    }
}
