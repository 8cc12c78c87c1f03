import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2))) struct BackPressureTests {
    @Test func `a slow handler bounds what waits for it, and answers still get through`()
        async throws
    {
        let gate = Gate()
        let running = Mutex(0)
        let server = TransportHandlers(request: { message, connection in
            running.withLock { $0 += 1 }
            await gate.wait()
            // With the window of the other direction full, an answer comes back all the same.
            do {
                return try await connection.call(text("recall"))
            } catch { return text("\(error)") }
        })
        try await TestCluster().withPair(server: server, client: echo) { server, client in
            let connection = try client.connection(.bulk)
            let payload = ByteBuffer(repeating: 7, count: 1 << 20)
            let calls = (0..<100).map { _ in
                Task {
                    try await connection.call(
                        TransportMessage(body: ByteBuffer(), payload: payload))
                }
            }
            let fitting =
                TransportLimits.outstandingMaximumBytes
                / ((1 << 20) + FrameHeader.encodedBytes)
            #expect(
                await eventually {
                    let waiting = await connection.counters().waitingCalls
                    return waiting == 100 - fitting && running.withLock { $0 } == fitting
                })
            let peer = try #require(server.connections.first { $0.lane == .bulk })
            let held = await peer.counters()
            #expect(held.inboundRequests == fitting)
            #expect(held.inboundBytes <= TransportLimits.outstandingMaximumBytes)
            // The callback uses the other direction's window, which is empty.
            let answer = try await peer.call(text("recall"), timeout: .seconds(5))
            #expect(answer == text("recall"))

            gate.open()
            for call in calls {
                let reply = try await call.value
                #expect(reply == text("recall"))
            }
            let after = await peer.counters()
            #expect(after.inboundBytesPeak <= TransportLimits.outstandingMaximumBytes)
            #expect(after.inboundBytes == 0 && after.inboundRequests == 0)
            let own = await connection.counters()
            #expect(own.outstandingBytes == 0 && own.waitingCalls == 0)
        }
    }

    @Test func `a waiting call that is cancelled or times out was not sent`() async throws {
        let gate = Gate()
        let server = TransportHandlers(request: { message, _ in
            await gate.wait()
            return text("done")
        })
        try await TestCluster().withPair(server: server) { _, client in
            let connection = try client.connection(.bulk)
            let large = TransportMessage(
                body: ByteBuffer(), payload: ByteBuffer(repeating: 7, count: 4 << 20))
            let calls = (0..<7).map { _ in Task { try await connection.call(large) } }
            #expect(await eventually { await connection.counters().outstandingRequests == 7 })
            await #expect {
                try await connection.call(large, timeout: .milliseconds(50))
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .timedOut && !error.isOutcomeUnknown
            }
            let cancelled = Task { try await connection.call(large) }
            #expect(await eventually { await connection.counters().waitingCalls == 1 })
            // A small one would fit, but keeps its place behind the large one, until that has gone.
            let small = Task { try await connection.call(text("x")) }
            #expect(await eventually { await connection.counters().waitingCalls == 2 })
            cancelled.cancel()
            await #expect {
                try await cancelled.value
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .cancelled && !error.isOutcomeUnknown
            }
            #expect(await eventually { await connection.counters().waitingCalls == 0 })
            gate.open()
            for call in calls + [small] {
                let reply = try await call.value
                #expect(reply == text("done"))
            }
        }
    }

    @Test func `a peer that ignores the window is closed`() async throws {
        let gate = Gate()
        let cluster = try TestCluster()
        let server = try await cluster.server(
            handlers: TransportHandlers(request: { message, _ in
                await gate.wait()
                return message
            }))
        let peer = try await RawPeer(of: cluster, to: server.addresses[0])
        try await peer.greet()
        for id in 1...40 {
            var frame = ByteBuffer()
            FrameHeader(
                kind: .request, requestID: UInt64(id), bodyBytes: 0, payloadBytes: 1 << 20
            ).encode(into: &frame)
            frame.writeRepeatingByte(0, count: 1 << 20)
            peer.send(frame)
        }
        await peer.waitUntilClosed()
        #expect(await eventually { cluster.log.contains("more unanswered requests than") })
        gate.open()
        await server.close()
    }

    @Test func `a peer that does not read its answers has answers and requests wait`()
        async throws
    {
        let handled = Mutex(0)
        let cluster = try TestCluster()
        let large = ByteBuffer(repeating: 1, count: 1 << 20)
        let server = try await cluster.server(
            configuration: patient,
            handlers: TransportHandlers(request: { message, _ in
                handled.withLock { $0 += 1 }
                return TransportMessage(body: ByteBuffer(), payload: large)
            }))
        let peer = try await RawPeer(of: cluster, to: server.addresses[0])
        try await peer.greet()
        try await peer.stopReading()
        let connection = try #require(server.connections.first)
        func ask(_ ids: ClosedRange<UInt64>) {
            for id in ids {
                var frame = ByteBuffer()
                FrameHeader(kind: .request, requestID: id, bodyBytes: 0, payloadBytes: 0)
                    .encode(into: &frame)
                peer.send(frame)
            }
        }
        ask(1...100)
        // These started before the output filled up: their answers wait, and are not encrypted.
        #expect(
            await eventually {
                let counters = await connection.counters()
                return counters.waitingReplies + counters.deferredRequests > 50
            })
        let sent = await connection.counters().bytesSent
        #expect(sent < 60 << 20, "what the sockets and the high-water mark hold")
        #expect(await eventually { await connection.counters().inboundRequests > 50 })
        let made = handled.withLock { $0 }
        ask(101...1_000)
        #expect(await eventually { await connection.counters().deferredRequests >= 900 })
        #expect(handled.withLock { $0 } <= made + 1)
        await peer.close()
        await connection.waitUntilClosed()
        await server.close()
    }

    @Test func `the bulk lane has fewer requests in flight`() async throws {
        let gate = Gate()
        let server = TransportHandlers(request: { message, _ in
            await gate.wait()
            return message
        })
        try await TestCluster().withPair(server: server) { _, client in
            let connection = try client.connection(.bulk)
            let calls = (0..<200).map { _ in Task { try await connection.call(text("x")) } }
            #expect(await eventually { await connection.counters().waitingCalls == 72 })
            #expect(await connection.counters().outstandingRequests == 128)
            gate.open()
            for call in calls { _ = try await call.value }
        }
    }

    @Test(arguments: ["duplicate", "answer", "early", "lane"])
    func `a peer that breaks the protocol is closed, with the reason`(how: String) async throws {
        let gate = Gate()
        let cluster = try TestCluster()
        let server = try await cluster.server(
            handlers: TransportHandlers(request: { message, _ in
                await gate.wait()
                return message
            }))
        let peer = try await RawPeer(of: cluster, to: server.addresses[0])
        func send(_ kind: FrameKind, _ id: UInt64, _ body: [UInt8] = []) {
            var frame = ByteBuffer()
            FrameHeader(kind: kind, requestID: id, bodyBytes: body.count, payloadBytes: 0)
                .encode(into: &frame)
            frame.writeBytes(body)
            peer.send(frame)
        }
        let reason: String
        switch how {
        case "duplicate":
            try await peer.greet()
            send(.request, 5)
            send(.request, 5)
            reason = "a request id that is in use"
        case "answer":
            try await peer.greet()
            send(.response, 77)
            reason = "an answer to a request that was not sent"
        case "early":
            send(.request, 1)
            reason = "before the greeting"
        default:
            send(.ping, 0, [9])
            reason = "names no lane"
        }
        await peer.waitUntilClosed()
        #expect(
            await eventually { cluster.log.contains(reason) }, "\(cluster.log.text)")
        #expect(cluster.log.contains("reason=protocolViolation"))
        gate.open()
        await server.close()
    }
}
