import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    mutating func openSession(_ session: NodeIdentity, _ actions: inout [CoordinatorAction]) {
        guard !sessions.insert(session).inserted else {
            endedSequences = endedSequences.filter {
                $0.key.name != session.name || $0.key == session
            }
            if endedSequences[session] != nil { returning.insert(session) }
            takeRecorded(session)
            return
        }
        // Its connection was lost. What it waits for without end it asks for anew.
        for token in lockWaits.filter({ $0.value.session == session }).keys.sorted() {
            endWait(token, &actions)
        }
        askAgain(session, &actions)
    }

    mutating func endSession(_ session: NodeIdentity, _ actions: inout [CoordinatorAction]) {
        guard sessions.remove(session) != nil else { return }
        unanswered[session] = nil
        slots[session] = nil
        metadata.endSession(session)
        lastSequences[session] = nil
        returning.remove(session)
        grace?.held.removeAll { $0.session == session }
        wakeLockWaiters(locks.endSession(session), &actions)
        lockWaits = lockWaits.filter { $0.value.session != session }
        let known = files.keys.sorted { $0.description < $1.description }
        for file in known {
            guard var state = files[file] else { continue }
            state.opens[session] = nil
            state.layouts[session] = nil
            if state.fill?.session == session { state.fill = nil }
            files[file] = state
            // The growth counts until the file is cut: by a task that meets it before, or by this.
            if let growth = state.growth, growth.session == session {
                let lost = WriteReport(grownSizeBytes: growth.visibleSizeBytes)
                startInternal(.settleLost(file, lost, of: session), on: file, &actions)
            }
            forgetIfUnused(file, &actions)
        }
        // What the session owed is over with it: nobody waits for a node that is proven gone.
        let owed = recalls.filter { $0.value.session == session }.keys
        for recall in owed.sorted(by: { $0.number < $1.number }) {
            answered(recall, WriteReport(), &actions)
        }
        if !sessions.contains(where: { $0.name == session.name }) {
            needsNoGrace(session.name, &actions)
        }
    }

    /// The fence of a node is proven: nothing of what it was matters any more.
    mutating func forget(_ name: String, _ actions: inout [CoordinatorAction]) {
        recorded = recorded.filter { $0.key.name != name }
        let ended = sessions.filter { $0.name == name }
        for session in ended.sorted(by: { $0.incarnation.number < $1.incarnation.number }) {
            endedSequences[session] = max(
                lastSequences[session] ?? 0, endedSequences[session] ?? 0)
            endSession(session, &actions)
        }
        needsNoGrace(name, &actions)
    }

    /// Takes no more requests, and ends what might wait for ever; the rest comes to its end.
    mutating func drain(_ actions: inout [CoordinatorAction]) {
        isDraining = true
        for token in lockWaits.keys.sorted() { endWait(token, &actions) }
        let held = grace?.held ?? []
        grace?.held = []
        for request in held {
            refuse(request.session, request.sequence, .notCoordinator, &actions)
        }
    }

    /// Nothing is under way any more.
    public var isIdle: Bool { tasks.isEmpty }

    private mutating func endWait(_ token: UInt64, _ actions: inout [CoordinatorAction]) {
        guard let waiter = lockWaits.removeValue(forKey: token) else { return }
        let release = locks.cancel(token)
        refuse(waiter.session, waiter.sequence, .notCoordinator, &actions)
        wakeLockWaiters(release?.grantedTokens ?? [], &actions)
    }
}
