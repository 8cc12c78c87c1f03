import CoordinatorCore
import VolumeModel
import VolumeProtocol

/// Group commit, and what a host's kernel does in the background.
extension SimulatedCoordinator {
    /// Calls back once everything that the mount shows now is durable; at once where a broken rule
    /// asks for no commit.
    func whenDurable(needsCommit: Bool, _ body: @escaping (Bool) -> Void) {
        guard needsCommit, mount.state.version > mount.durableVersion else {
            body(true)
            return
        }
        durableWaiters.append((mount.state.version, body))
        flushNext()
    }

    private func flushNext() {
        guard !isFlushing, !durableWaiters.isEmpty else { return }
        isFlushing = true
        host.after(simulation.random.within(.microseconds(20) ... .microseconds(200))) {
            [self] in
            mount.flush { [self] isDurable in
                host.after(0) { [self] in flushed(isDurable) }
            }
        }
    }

    private func flushed(_ isDurable: Bool) {
        isFlushing = false
        guard !isOver else { return }
        let ready = durableWaiters.filter { !isDurable || $0.version <= mount.durableVersion }
        durableWaiters.removeAll { !isDurable || $0.version <= mount.durableVersion }
        for waiter in ready { waiter.body(isDurable) }
        flushNext()
        lookForIdle()
    }

    /// The kernel writes dirty pages and the journal when it likes.
    func writeBackLater() {
        let period = simulation.scenario.writeBackPeriod
        host.after(simulation.random.within(period / 4...period)) { [self] in
            guard !isOver else { return }
            if mount.isPathUsable {
                mount.writeBackAll()
                if simulation.random.chance(0.3) { mount.flush { _ in } }
            }
            writeBackLater()
        }
    }

    /// Without rule sole-mutator: something moves blocks behind the coordinator's back.
    func disturbLater() {
        guard !rules.contains(.soleMutator) else { return }
        host.after(simulation.random.within(.milliseconds(100) ... .milliseconds(900))) {
            [self] in
            guard !isOver else { return }
            defragment()
            disturbLater()
        }
    }

    private func defragment() {
        guard mount.isPathUsable else { return }
        let numbers = mount.state.inodes.keys.sorted()
        guard !numbers.isEmpty else { return }
        let inode = simulation.random.pick(numbers)
        mount.writeBackAll()
        for block in 0..<(mount.state.inodes[inode]?.blocks.count ?? 0) {
            if case .written(let place) = mount.mapping(inode, block) {
                guard (try? mount.move(inode, block, place)) != nil else { break }
            }
        }
        mount.commitInMemory()
        simulation.trace(place, "something moves the blocks of inode \(inode)")
    }

    // MARK: Questions to nodes

    /// Asks a node for what a recall or a collection wants, again and again until it has answered.
    func ask(_ id: RecallID) {
        guard !isOver, let question = questions[id], let session = question.session,
            let node = simulation.nodes.first(where: { $0.name == session.name })
        else { return }
        host.send(to: node) { [self, epoch] in
            node.client.receive(question, id, epoch: epoch, from: self)
        }
        host.after(.milliseconds(200)) { [self] in ask(id) }
    }

    /// A node's answer; of two to the same question the second is old.
    func answered(_ id: RecallID, epoch: Epoch, _ report: WriteReport) {
        guard !isOver, epoch == self.epoch || !rules.contains(.epochInEveryMessage),
            questions.removeValue(forKey: id) != nil
        else { return }
        handle(.answered(id, report))
    }
}
