import VolumeModel
import VolumeProtocol

extension Coordinator {
    /// Opens a node's session, or opens it again after its connection was lost: it keeps everything.
    /// A session of an earlier incarnation of the same node ends with it: the node opens a new one
    /// only when the I/O of its earlier life is over.
    public func openSession(_ session: NodeIdentity, port: any NodePort) {
        let earlier = state.withLock { state in
            state.ports.keys.filter { $0.name == session.name && $0 != session }
        }
        for old in earlier { endSession(old) }
        state.withLock { $0.ports[session] = port }
        handle(.sessionOpened(session))
    }

    /// A later process of the node goes on with its session: what the one before still has on its way is
    /// refused from now on. After this the session is opened, and then ``isSettled(_:)``.
    public func beginAnew(_ session: NodeIdentity, firstSequence: UInt64) {
        guard firstSequence > 0 else { return }
        state.withLock { state in
            state.firstSequences[session] = max(
                firstSequence, state.firstSequences[session] ?? 0)
        }
    }

    /// Nothing is under way that an earlier process of the session's node has asked for.
    public func isSettled(_ session: NodeIdentity) -> Bool {
        state.withLock { state in
            guard let first = state.firstSequences[session] else { return true }
            return !state.waiting.keys.contains {
                $0.session == session && $0.sequence < first
            }
        }
    }

    /// Everything that the session held has been given back.
    public func endSession(_ session: NodeIdentity) {
        // First, so that no request is taken that nobody would answer.
        handle(.sessionEnded(session))
        release { $0 == session }
    }

    /// A node is proven to write no more to the LUN, in none of its lives so far: everything that it
    /// held is free (rule fence-before-forget), and the grace does not wait for it.
    public func forget(node name: String) {
        handle(.nodeForgotten(name))
        release { $0.name == name }
    }

    private func release(_ isEnded: (NodeIdentity) -> Bool) {
        let orphaned = state.withLock { state in
            state.ports = state.ports.filter { !isEnded($0.key) }
            state.firstSequences = state.firstSequences.filter { !isEnded($0.key) }
            let keys = state.waiting.keys.filter { isEnded($0.session) }
            return keys.compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for waiting in orphaned { waiting.end(.failure(.noSession)) }
    }

    public func hasSession(_ session: NodeIdentity) -> Bool {
        state.withLock { $0.core.hasSession(session) }
    }

    /// The sessions that have owed an answer to a recall for longer than this. Such a node's I/O
    /// hangs, or the node does: its path, or itself, is to be fenced.
    public func overdueSessions(nanoseconds: UInt64) -> [NodeIdentity] {
        let deadline = ContinuousClock.now - .nanoseconds(Int64(nanoseconds))
        return state.withLock { state in
            let owed = state.core.owedRecalls
            state.asked = state.asked.filter { owed[$0.key] != nil }
            let late = state.asked.filter { $0.value < deadline }.keys.compactMap { owed[$0] }
            return Set(late).sorted { $0.description < $1.description }
        }
    }

    /// For a planned move: takes no more requests, and returns once those that are under way have
    /// ended, or after so long: a node that does not answer a recall would hold it up. ``stop()`` ends
    /// what is left, and that is then the next coordinator's. Waits for locks end here, too.
    public func drain(timeout: Duration) async {
        handle(.draining)
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.hasEnded || state.core.isIdle { return true }
                state.draining.append(continuation)
                return false
            }
            guard !isIdle else { return continuation.resume() }
            Task { [weak self] in
                try? await Task.sleep(for: timeout)
                self?.endDraining()
            }
        }
    }

    private func endDraining() {
        let waiting = state.withLock { state in
            defer { state.draining = [] }
            return state.draining
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Writes the volume's ownership mark, durably.
    public func writeMark(_ bytes: [UInt8]) throws {
        try pool.perform { [runner] in try runner.directory.writeMark(bytes) }
    }

    /// Takes the coordinator's own directory off the volume, so that nothing of us is left on it.
    public func removeMark() throws {
        try pool.perform { [runner] in try runner.directory.removeItself() }
    }
}
