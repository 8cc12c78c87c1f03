import Logging
import NIOCore

extension StoreClient {
    func call(_ request: StoreRequest, timeout: Duration? = nil) async throws -> StoreReply {
        let end = ContinuousClock.now + (timeout ?? options.requestTimeout)
        while true {
            let connection = try await connected(until: end)
            do {
                let reply = try await connection.exchange(
                    request, timeout: end - ContinuousClock.now)
                if case .failure(let error) = reply { throw error }
                return reply
            } catch ExchangeFailure.notSent {
                continue
            } catch ExchangeFailure.lost(let reason) {
                if let ended = state.withLock({ $0.ended }), request.isRepeatable { throw ended }
                if !request.isRepeatable {
                    throw StoreError.outcomeUnknown(
                        "the connection broke before the reply: \(reason)")
                }
            } catch ExchangeFailure.timedOut {
                let text = "no reply from \(socketPath) in time"
                throw request.isRepeatable
                    ? StoreError.timedOut(text) : StoreError.outcomeUnknown(text)
            }
        }
    }

    /// The connection, when there is one.
    private func connected(until end: ContinuousClock.Instant) async throws -> StoreConnection {
        let number = state.withLock { state in
            state.nextWaiting += 1
            return state.nextWaiting
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { done in
                let left = TimeAmount(max(.zero, end - ContinuousClock.now))
                let timer = options.group.any().scheduleTask(in: left) {
                    self.giveUp(number)
                }
                let result: Result<StoreConnection, any Error>? = state.withLock { state in
                    if let ended = state.ended { return .failure(ended) }
                    if let connection = state.connection, !connection.isClosed {
                        return .success(connection)
                    }
                    state.waiting[number] = Waiting(done: done, timer: timer)
                    return nil
                }
                if let result {
                    timer.cancel()
                    done.resume(with: result)
                } else if Task.isCancelled {
                    cancel(number)
                }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func giveUp(_ number: UInt64) {
        let (waiting, text) = state.withLock { state in
            (state.waiting.removeValue(forKey: number), state.lastFailure)
        }
        waiting?.done.resume(throwing: StoreError.unavailable("\(socketPath): \(text)"))
    }

    private func cancel(_ number: UInt64) {
        guard let waiting = state.withLock({ $0.waiting.removeValue(forKey: number) }) else {
            return
        }
        waiting.timer.cancel()
        waiting.done.resume(throwing: CancellationError())
    }

    func keepConnected() async {
        var delay = options.firstRetryDelay
        while !Task.isCancelled {
            do {
                let connection = try await open()
                delay = options.firstRetryDelay
                let reason = await connection.ended()
                failed("the connection ended: \(reason)", level: .notice)
            } catch StoreError.storeReplaced(let text) {
                options.logger.critical("another store answers", metadata: ["reason": "\(text)"])
                return end(with: .storeReplaced(text))
            } catch {
                failed("\(error)", level: .debug)
            }
            try? await Task.sleep(for: delay * Double.random(in: 0.5...1))
            delay = min(delay * 2, options.longestRetryDelay)
        }
    }

    private func failed(_ text: String, level: Logger.Level) {
        state.withLock { state in
            state.connection = nil
            state.lastFailure = text
        }
        options.logger.log(
            level: level, "not connected to the cluster store",
            metadata: ["socket": "\(socketPath)", "reason": "\(text)"])
    }

    private func open() async throws -> StoreConnection {
        let connection = try await StoreConnection.connect(
            socketPath: socketPath, group: options.group)
        do {
            let reply = try await connection.exchange(
                .hello(version: StoreHello.version), timeout: options.requestTimeout)
            guard case .hello(let hello) = reply else {
                throw StoreError.protocolViolation("the greeting was not answered by one")
            }
            try adopt(connection, hello)
        } catch {
            connection.close()
            throw error
        }
        options.logger.debug("connected to the cluster store")
        return connection
    }

    private func adopt(_ connection: StoreConnection, _ hello: StoreHello) throws {
        let waiting = try state.withLock { state in
            if let ended = state.ended { throw ended }
            if let known = state.storeID, known != hello.storeID {
                throw StoreError.storeReplaced("\(socketPath) has a different database")
            }
            if hello.revision < state.newestRevision {
                throw StoreError.storeReplaced(
                    "\(socketPath) is at revision \(hello.revision), "
                        + "and was at \(state.newestRevision) before")
            }
            state.storeID = hello.storeID
            state.connection = connection
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for waiting in waiting {
            waiting.timer.cancel()
            waiting.done.resume(returning: connection)
        }
    }

    func end(with error: StoreError) {
        let (connection, waiting) = state.withLock { state in
            if state.ended == nil { state.ended = error }
            defer { state.waiting = [:] }
            return (state.connection, state.waiting.values.map { $0 })
        }
        connection?.close()
        for waiting in waiting {
            waiting.timer.cancel()
            waiting.done.resume(throwing: error)
        }
    }

    func note(_ revision: StoreRevision) {
        state.withLock { $0.newestRevision = max($0.newestRevision, revision) }
    }
}
