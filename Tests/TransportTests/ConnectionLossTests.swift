import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct ConnectionLossTests {
    @Test func `a break fails all calls, those sent with an unknown outcome`() async throws {
        let gate = Gate()
        let handlers = TransportHandlers(request: { message, _ in
            await gate.wait()
            return message
        })
        let cluster = try TestCluster()
        try await cluster.withPair(server: handlers) { server, client in
            let calls = (0..<20).map { _ in Task { try await client.call(text("x")) } }
            let connection = try client.connection(.metadata)
            #expect(await eventually { await connection.counters().outstandingRequests == 20 })
            for connection in server.connections { connection.close() }
            for call in calls {
                await #expect {
                    try await call.value
                } throws: {
                    guard let error = $0 as? TransportError else { return false }
                    return error.code == .connectionLost && error.isOutcomeUnknown
                }
            }
            gate.open()
            await #expect {
                try await connection.call(text("x"))
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .notConnected && !error.isOutcomeUnknown
            }
        }
    }

    @Test func `a client comes back when its server does, and tells`() async throws {
        let cluster = try TestCluster()
        let states = Mutex<[PeerClientState]>([])
        let first = try await cluster.server(handlers: echo)
        let client = try cluster.client(
            at: first.addresses, onStateChange: { new in states.withLock { $0.append(new) } })
        client.start()
        try await client.waitUntilConnected(timeout: .seconds(10))
        await first.close()
        #expect(await eventually { !client.isConnected && client.connections.isEmpty })
        await #expect {
            try await client.call(text("x"))
        } throws: {
            ($0 as? TransportError)?.code == .notConnected
        }
        let second = try await cluster.server(
            at: first.addresses[0].description, handlers: echo)
        try await client.waitUntilConnected(timeout: .seconds(20))
        let again = try await client.call(text("again"))
        #expect(again == text("again"))
        await client.close()
        await second.close()
        #expect(await eventually { states.withLock { $0.count } == 4 })
        let seen = states.withLock { $0 }.map { $0 == .connected }
        #expect(seen == [true, false, true, false])
    }

    @Test func `connected and disconnected come once for each connection`() async throws {
        let events = Mutex<[ConnectionID: [String]]>([:])
        let handlers = TransportHandlers(
            request: { message, _ in message },
            connected: { connection in
                events.withLock { $0[connection.id, default: []].append("connected") }
            },
            disconnected: { connection, _ in
                events.withLock { $0[connection.id, default: []].append("disconnected") }
            })
        try await TestCluster().withPair(server: handlers) { _, _ in }
        #expect(await eventually { events.withLock { $0.values.allSatisfy { $0.count == 2 } } })
        events.withLock {
            #expect($0.count == 2)
            #expect($0.values.allSatisfy { $0 == ["connected", "disconnected"] })
        }
    }

    @Test func `the second address is tried when the first does not answer`() async throws {
        let cluster = try TestCluster()
        let gone = try await cluster.server(handlers: echo)
        let server = try await cluster.server(at: "[::1]:0", handlers: echo)
        await gone.close()
        let client = try cluster.client(at: [gone.addresses[0], server.addresses[0]])
        client.start()
        try await client.waitUntilConnected(timeout: .seconds(20))
        let x = try await client.call(text("x"))
        #expect(x == text("x"))
        await client.close()
        await server.close()
    }

    @Test func `a peer that goes silent is given up, one that is idle is not`() async throws {
        var cluster = try TestCluster()
        // Not the event loops on which other tests encrypt megabytes.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        cluster.group = group
        let quick = ConnectionConfiguration(
            keepaliveInterval: .milliseconds(300), missedIntervalsMaximum: 6)
        let server = try await cluster.server(configuration: quick, handlers: echo)
        let relay = try await StoppableRelay(to: server.addresses[0], group: group)
        let client = try cluster.client(
            at: [relay.address], configuration: PeerClientConfiguration(connection: quick))
        client.start()
        try await client.waitUntilConnected(timeout: .seconds(10))
        let connection = try client.connection(.metadata)
        try await Task.sleep(for: .milliseconds(2_500))
        #expect(client.connections.contains { $0.id == connection.id })
        relay.stop()
        #expect(await connection.waitUntilClosed().code == .peerSilent)
        #expect(await eventually { server.connections.isEmpty })
        // By now it connects again, to a peer that never answers: closing does not wait for that.
        try await Task.sleep(for: .milliseconds(300))
        let closing = ContinuousClock.now
        await client.close()
        #expect(ContinuousClock.now - closing < .seconds(5))
        await relay.close()
        await server.close()
        try await group.shutdownGracefully()
    }

    @Test func `a closed client makes no connection and lets nobody wait`() async throws {
        let cluster = try TestCluster()
        let client = try cluster.client(at: [TransportAddress("127.0.0.1:1")])
        client.start()
        let waiting = Task { try await client.waitUntilConnected(timeout: .seconds(30)) }
        try await Task.sleep(for: .milliseconds(50))
        await client.close()
        await #expect {
            try await waiting.value
        } throws: {
            ($0 as? TransportError)?.code == .closed
        }
        await #expect {
            try await cluster.client(at: [TransportAddress("127.0.0.1:1")])
                .waitUntilConnected(timeout: .milliseconds(20))
        } throws: {
            ($0 as? TransportError)?.code == .timedOut
        }
    }
}
