import NIOCore
import Synchronization
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct CallTests {
    @Test func `a call brings body and payload there and back, on both lanes`() async throws {
        try await TestCluster().withPair(server: echo) { _, client in
            for lane in Lane.allCases {
                for size in [1, 4_096, 4_097, 1 << 20, TransportLimits.payloadMaximumBytes] {
                    let message = TransportMessage(
                        body: bytes(min(size, TransportLimits.bodyMaximumBytes)),
                        payload: bytes(size, seed: 7))
                    let reply = try await client.call(message, lane: lane, timeout: .seconds(20))
                    #expect(reply == message)
                }
            }
            let empty = try await client.call(TransportMessage(body: ByteBuffer()))
            #expect(empty.body.readableBytes == 0 && empty.payload == nil)
        }
    }

    @Test func `what the event loop takes is answered from any thread, the rest by a task`()
        async throws
    {
        let handlers = TransportHandlers(
            request: { message, _ in text("task " + String(buffer: message.body)) },
            direct: { message, _, answer in
                guard String(buffer: message.body) == "direct" else { return false }
                Task { answer(text("taken")) }
                return true
            })
        try await TestCluster().withPair(server: handlers) { _, client in
            let taken = String(buffer: try await client.call(text("direct")).body)
            #expect(taken == "taken")
            let other = String(buffer: try await client.call(text("other")).body)
            #expect(other == "task other")
            let result: CallResult = await withCheckedContinuation { continuation in
                client.call(text("direct")) { continuation.resume(returning: $0) }
            }
            let answer = String(buffer: try result.get().body)
            #expect(answer == "taken")
            await client.close()
            let failed: CallResult = await withCheckedContinuation { continuation in
                client.call(text("direct")) { continuation.resume(returning: $0) }
            }
            #expect(throws: TransportError.self) { try failed.get() }
        }
    }

    @Test func `the handler knows the peer and the lane`() async throws {
        let handlers = TransportHandlers(request: { _, connection in
            text("\(connection.peer) \(connection.lane)")
        })
        try await TestCluster().withPair(server: handlers) { server, client in
            let reply = try await client.call(text(""), lane: .bulk)
            #expect(String(buffer: reply.body) == "client bulk")
            #expect(client.connections.allSatisfy { $0.peer == PeerIdentity(node: "server") })
            #expect(server.connections(of: PeerIdentity(node: "client")).count == 2)
            #expect(server.connections(of: PeerIdentity(node: "other")).isEmpty)
        }
    }

    @Test func `the server calls back while it handles a call, with large payloads`() async throws {
        let server = TransportHandlers(request: { message, connection in
            do {
                return try await connection.call(message, timeout: .seconds(20))
            } catch { return text("\(error)") }
        })
        let client = TransportHandlers(request: { message, _ in
            TransportMessage(body: ByteBuffer(string: "recalled"), payload: message.payload)
        })
        try await TestCluster().withPair(server: server, client: client) { server, client in
            let payload = bytes(4 << 20)
            let reply = try await client.call(
                TransportMessage(body: ByteBuffer(), payload: payload), lane: .bulk)
            #expect(String(buffer: reply.body) == "recalled")
            #expect(reply.payload == payload)
            for connection in server.connections {
                let answer = try await connection.call(text("recall"))
                #expect(String(buffer: answer.body) == "recalled")
            }
        }
    }

    @Test func `a thousand calls at once, answered in any order`() async throws {
        let handlers = TransportHandlers(request: { message, _ in
            let number = Int(String(buffer: message.body)) ?? 0
            if number % 3 == 0 { try? await Task.sleep(for: .milliseconds(number % 20)) }
            return text("\(number * 2)")
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1_000 {
                    group.addTask {
                        let reply = try await client.call(
                            text("\(number)"), lane: number % 2 == 0 ? .metadata : .bulk)
                        return String(buffer: reply.body) == "\(number * 2)"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            for connection in client.connections {
                let counters = await connection.counters()
                #expect(counters.outstandingRequests == 0 && counters.outstandingBytes == 0)
                #expect(counters.waitingCalls == 0)
            }
        }
    }

    @Test func `a handler that waits does not hold up others of its connection`() async throws {
        let gate = Gate()
        let handlers = TransportHandlers(request: { message, _ in
            if String(buffer: message.body) == "lock" { await gate.wait() }
            return message
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            async let locked = client.call(text("lock"))
            for _ in 0..<100 { _ = try await client.call(text("other")) }
            gate.open()
            let reply = try await locked
            #expect(reply == text("lock"))
        }
    }

    @Test func `one-way messages arrive and give back the window`() async throws {
        let received = Mutex<[String]>([])
        let handlers = TransportHandlers(oneway: { message, _ in
            received.withLock { $0.append(String(buffer: message.body)) }
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            for number in 0..<100 { try await client.send(text("\(number)")) }
            #expect(await eventually { received.withLock { $0.count } == 100 })
            #expect(received.withLock { Set($0) } == Set((0..<100).map { "\($0)" }))
            let connection = try client.connection(.metadata)
            #expect(await eventually { await connection.counters().outstandingRequests == 0 })
        }
    }

    @Test func `a request that nobody takes is refused, and known not to be done`() async throws {
        try await TestCluster().withPair(server: TransportHandlers()) { _, client in
            await #expect {
                try await client.call(text("x"))
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .refusedByPeer && !error.isOutcomeUnknown
            }
        }
    }

    @Test func `messages over the limits go nowhere`() async throws {
        let big = ByteBuffer(repeating: 0, count: TransportLimits.bodyMaximumBytes + 1)
        let handlers = TransportHandlers(request: { message, _ in
            String(buffer: message.body) == "big" ? TransportMessage(body: big) : message
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            let payload = ByteBuffer(
                repeating: 0, count: TransportLimits.payloadMaximumBytes + 1)
            for message in [
                TransportMessage(body: big), TransportMessage(body: ByteBuffer(), payload: payload),
            ] {
                await #expect {
                    try await client.call(message)
                } throws: {
                    ($0 as? TransportError)?.code == .messageTooLarge
                }
            }
            await #expect {
                try await client.call(text("big"))
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .refusedByPeer && error.isOutcomeUnknown
            }
            let small = try await client.call(text("small"))
            #expect(small == text("small"))
        }
    }

    @Test func `time-out and cancellation end the call, not the connection`() async throws {
        let gate = Gate()
        let handlers = TransportHandlers(request: { message, _ in
            if String(buffer: message.body) == "wait" { await gate.wait() }
            return message
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            await #expect {
                try await client.call(text("wait"), timeout: .milliseconds(30))
            } throws: {
                guard let error = $0 as? TransportError else { return false }
                return error.code == .timedOut && error.isOutcomeUnknown
            }
            let task = Task { try await client.call(text("wait")) }
            let connection = try client.connection(.metadata)
            #expect(await eventually { await connection.counters().outstandingRequests == 2 })
            task.cancel()
            await #expect {
                try await task.value
            } throws: {
                ($0 as? TransportError)?.code == .cancelled
            }
            // They keep their places until the answers come.
            #expect(await connection.counters().outstandingRequests == 2)
            gate.open()
            #expect(await eventually { await connection.counters().outstandingRequests == 0 })
            let x = try await client.call(text("x"))
            #expect(x == text("x"))
        }
    }

    @Test func `a call of a task that is cancelled already is not sent`() async throws {
        let calls = Mutex(0)
        let handlers = TransportHandlers(request: { message, _ in
            calls.withLock { $0 += 1 }
            return message
        })
        try await TestCluster().withPair(server: handlers) { _, client in
            for _ in 0..<50 {
                let gate = Gate()
                let task = Task {
                    await gate.wait()
                    return try await client.call(text("x"))
                }
                task.cancel()
                gate.open()
                await #expect {
                    try await task.value
                } throws: {
                    guard let error = $0 as? TransportError else { return false }
                    return error.code == .cancelled && !error.isOutcomeUnknown
                }
            }
            _ = try await client.call(text("last"))
            #expect(calls.withLock { $0 } == 1)
        }
    }
}
