import Foundation
import Testing

@testable import ClusterStore

@Suite(.timeLimit(.minutes(2))) struct ServerTests {
    @Test func requestsOfOneConnectionRunBesideEachOther() async throws {
        try await withServer { server, client in
            let raw = try RawConnection(server.directory.socket)
            try await raw.greet()
            raw.send(1, .poll(prefix: "w", fromRevision: 2, waitMilliseconds: 20_000))
            raw.send(2, .get(key: "a"))
            #expect(await raw.receive()?.number == 2)
            try await client.put("w", [1])
            let page = await raw.receive()
            #expect(page?.number == 1)
            raw.send(3, .poll(prefix: "w", fromRevision: 3, waitMilliseconds: 50))
            #expect(await raw.receive()?.body == .page(WatchPage(events: [], nextRevision: 3)))
            // A cancelled poll has no reply, and its number is free again.
            raw.send(4, .poll(prefix: "w", fromRevision: 3, waitMilliseconds: 20_000))
            raw.send(5, .cancel(request: 4))
            raw.send(6, .get(key: "w"))
            #expect(await raw.receive()?.number == 6)
        }
    }

    /// What is sent, and what the log must say about it.
    static let bad: [([UInt8], String)] = [
        ([0xFF, 0xFF, 0xFF, 0xFF, 1], "a frame of 4294967295 bytes"),
        (frameBytes(StoreLimits.frameBytes + 1), "the most is"),
        ([0, 0, 0, 2, 9, 9], "cannot be decoded"),
        ([0, 0, 0, 0], "cannot be decoded"),
        ([0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 200], "unknown request 200"),
        (RawConnection.frame(1, .hello(version: 1)), "second greeting"),
    ]

    static func frameBytes(_ count: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
    }

    @Test(arguments: bad)
    func aBadFrameClosesItsConnectionOnly(_ bytes: [UInt8], _ reason: String) async throws {
        try await withServer { server, client in
            let other = try RawConnection(server.directory.socket)
            try await other.greet()
            let raw = try RawConnection(server.directory.socket)
            try await raw.greet()
            raw.send(bytes)
            #expect(await raw.receive() == nil)
            #expect(await eventually { server.log.all.contains { $0.contains(reason) } })
            #expect(
                server.log.all.filter { $0.contains("connection closed") }.count == 1,
                "\(server.log.all)")
            other.send(1, .get(key: "a"))
            #expect(await other.receive()?.number == 1)
            try await client.put("a", [1])
        }
    }

    @Test func whoDoesNotGreetOrSpeaksAnotherVersionIsRefused() async throws {
        try await withServer { server, _ in
            let silent = try RawConnection(server.directory.socket)
            silent.send(1, .get(key: "a"))
            #expect(await silent.receive() == nil)
            let newer = try RawConnection(server.directory.socket)
            newer.send(0, .hello(version: 77))
            #expect(await newer.receive() == nil)
            #expect(
                await eventually { server.log.all.contains { $0.contains("version 77, not 1") } })
        }
    }

    /// The kernel closes a killed process's descriptors: for the server, a client that is killed in
    /// the middle of a transaction is a connection that ends after any byte of it.
    @Test func aClientThatDiesInTheMiddleOfATransactionHarmsNobody() async throws {
        try await withServer { server, client in
            let frame = RawConnection.frame(
                1,
                .transaction(
                    StoreTransaction(success: [.put("dying/a", [1]), .put("dying/b", [1])])))
            for count in 0...frame.count {
                let raw = try RawConnection(server.directory.socket)
                try await raw.greet()
                raw.send(Array(frame.prefix(count)))
            }
            try await client.put("living", [1])
            // Only the whole frame was a transaction, and that was done as a whole.
            #expect(
                try await eventually {
                    try await client.range(prefix: "dying/").entries.count == 2
                })
            let entries = try await client.range(prefix: "dying/").entries
            #expect(entries.map(\.version) == [1, 1])
            #expect(entries[0].modRevision == entries[1].modRevision)
        }
    }

    @Test func aPeerThatDoesNotReadIsDroppedAndTheOthersGoOn() async throws {
        try await withServer { server, client in
            let value = [UInt8](repeating: 1, count: StoreLimits.valueBytes)
            for index in 0..<4 { try await client.put("big/\(index)", value) }
            let raw = try RawConnection(server.directory.socket)
            try await raw.greet()
            for number in 1...30 {
                raw.send(UInt64(number), .range(prefix: "big/", after: nil, limit: 100))
            }
            #expect(
                await eventually {
                    server.log.all.contains { $0.contains("does not take its replies") }
                })
            #expect(try await client.get("big/0").entry != nil)
        }
    }

    @Test func tooManyRequestsAtOnceAreRefusedNotQueued() async throws {
        try await withServer { server, client in
            let raw = try RawConnection(server.directory.socket)
            try await raw.greet()
            for number in 1...UInt64(StoreLimits.requestsInFlight + 1) {
                raw.send(number, .poll(prefix: "w", fromRevision: 2, waitMilliseconds: 20_000))
            }
            let refused = await raw.receive()
            #expect(refused?.number == UInt64(StoreLimits.requestsInFlight + 1))
            guard case .failure(.limitExceeded) = refused?.body else {
                Issue.record("\(String(describing: refused))")
                return
            }
            try await client.put("w", [1])
            for _ in 0..<StoreLimits.requestsInFlight { #expect(await raw.receive() != nil) }
        }
    }

    @Test func aDeadServersSocketIsReplacedALiveOnesIsNot() async throws {
        let directory = try TestDirectory()
        let dead = bindAndLeave(directory.socket)
        #expect(dead)
        let server = try await TestServer.start(directory)
        let mode = try FileManager.default.attributesOfItem(atPath: directory.socket)
        #expect(mode[.posixPermissions] as? Int == 0o600)
        let second = try SQLiteStoreEngine.inMemory()
        await #expect(throws: StoreError.self) {
            _ = try await StoreServer.start(engine: second, socketPath: directory.socket)
        }
        let client = server.client()
        try await client.put("a", [1])
        await client.shutdown()
        await server.stop()
        #expect(!FileManager.default.fileExists(atPath: directory.socket))
        try Data("mine".utf8).write(to: URL(fileURLWithPath: directory.socket))
        await #expect(throws: StoreError.self) {
            _ = try await StoreServer.start(engine: second, socketPath: directory.socket)
        }
        #expect(FileManager.default.contents(atPath: directory.socket) == Data("mine".utf8))
        await #expect(throws: StoreError.self) {
            _ = try await StoreServer.start(
                engine: second, socketPath: "/tmp/" + String(repeating: "x", count: 100))
        }
    }

    private func bindAndLeave(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
