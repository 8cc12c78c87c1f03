import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

/// A change of coordinator: what this node holds is kept, and told to the next one.
extension MountHandler {
    /// Whether a grant or an answer is of the coordinator that it was asked of.
    var coordinatorGeneration: UInt64 { state.withLock { $0.coordinatorGeneration } }

    /// There is no coordinator: grants that it still sent are worth nothing. Mapped reads and in-place
    /// writes go on.
    func leaveCoordinator() {
        state.withLock { state in
            state.coordinatorGeneration += 1
            state.isBetweenCoordinators = true
            state.filter.leaveCoordinator()
        }
    }

    /// Tells a new coordinator what is held here. False: it was lost meanwhile.
    func joinCoordinator(through link: any CoordinatorLink) async -> Bool {
        // A session taken up again with the same coordinator has everything.
        guard state.withLock({ $0.isBetweenCoordinators }) else {
            return await link.isDone(.reclaimed)
        }
        guard await reclaimOpens(link), await reclaimLayouts(link), await reclaimLocks(link),
            await link.isDone(.reclaimed)
        else { return false }
        let unsettled = state.withLock { state in
            state.isBetweenCoordinators = false
            return state.filter.claimedFiles.filter { state.filter.isUnsettled($0) }
        }
        // Their ends are the new coordinator's to know as soon as it takes anything new.
        Task {
            for file in unsettled { _ = await self.report(file) }
        }
        return true
    }

    /// This node was fenced while it lived. Returns when none of its direct I/O is left.
    func loseEverything() async {
        let files = state.withLock { state in
            state.coordinatorGeneration += 1
            state.isBetweenCoordinators = true
            state.lostOpens += state.opens.count
            state.opens = [:]
            state.heldLocks.removeAll()
            state.loseRecords()
            return state.filter.loseEverything()
        }
        log.error(
            "this node was fenced: what was open answers errors from now on",
            metadata: ["files": "\(files)"])
        while state.withLock({ $0.inFlight > 0 }) {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// For good: the file's opens answer EIO.
    func lose(_ handle: FileHandle, _ what: String, _ error: ErrorCode) {
        let opens = state.withLock { state in
            guard let file = state.filter.index(of: handle) else { return 0 }
            state.filter.lose(file)
            let opens = state.opens.filter { $0.value == handle }
            for open in opens.keys {
                state.opens[open] = nil
                if let slot = state.openRecords[open] { state.ledger.lose(slot) }
            }
            state.ledger.remove(state.growthRecords.removeValue(forKey: file))
            state.heldLocks.releaseFile(handle)
            state.noteLocks(of: handle)
            state.lostOpens += opens.count
            return opens.count
        }
        log.error(
            "an open file was lost with its coordinator",
            metadata: ["what": "\(what)", "error": "\(error)", "opens": "\(opens)"])
    }

    private func reclaimOpens(_ link: any CoordinatorLink) async -> Bool {
        let opens = state.withLock { Array($0.opens) }
        return await Self.each(opens) { open, handle in
            switch await link.call(.open(handle, open)).result {
            case .failed(.notConnected):
                return false
            case .failed(let error) where error != .invalid:
                self.lose(handle, "open", error)
            default:
                // EINVAL: it is known there. One that is closed meanwhile is released after this.
                break
            }
            return true
        }
    }

    private func reclaimLayouts(_ link: any CoordinatorLink) async -> Bool {
        let files = state.withLock { $0.filter.claimedFiles }
        return await Self.each(files) { file in
            guard let claim = self.state.withLock({ $0.filter.claim(of: file) }) else {
                return true
            }
            return await self.reclaim(claim, of: file, link)
        }
    }

    private func reclaim(
        _ claim: LayoutClaim, of file: FileIndex, _ link: any CoordinatorLink
    ) async -> Bool {
        for piece in claim.pieces(rangesMaximum: Limits.rangesPerReclaimMaximum) {
            let answer = await link.call(
                .reclaimLayout(piece.handle, piece.ranges, growth: piece.growth)
            ).result
            guard case .failed(let error) = answer else {
                if piece.growth != nil { state.withLock { $0.filter.takeUp(file) } }
                continue
            }
            if error == .notConnected { return false }
            let isSettled = state.withLock { state in
                guard piece.growth != nil, !state.filter.holdsGrowth(file) else { return false }
                state.filter.settled(file)
                return true
            }
            if isSettled {
                // The coordinator before had cut the file to what was reached.
                var rest = claim
                rest.growth = nil
                return rest.ranges.isEmpty ? true : await reclaim(rest, of: file, link)
            }
            let report = await recall(claim.handle, .everything, LayoutGeneration(0))
            // A growth in it counts as given back, and is told once more after this.
            log.warning(
                "layouts were not taken up by the new coordinator",
                metadata: [
                    "error": "\(error)", "growth": "\(report.grownSizeBytes ?? 0)",
                ])
            return true
        }
        return true
    }

    private func reclaimLocks(_ link: any CoordinatorLink) async -> Bool {
        let locks = state.withLock { $0.heldLocks.requests }
        return await Self.each(locks) { lock in
            guard case .failed(let error) = await link.call(.reclaimLock(lock)).result else {
                return true
            }
            if error == .notConnected { return false }
            // Whoever relied on the lock must not go on as if it were there.
            self.lose(lock.file, "lock", error)
            return true
        }
    }

    /// Many at a time, because each is a round trip; false once one was. The others still end.
    private static func each<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async -> Bool
    ) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            var isGood = true
            for (number, element) in elements.enumerated() {
                if number >= MountLimits.reclaimsMaximum, await group.next() == false {
                    isGood = false
                }
                guard isGood else { break }
                group.addTask { await body(element) }
            }
            for await result in group where !result { isGood = false }
            return isGood
        }
    }
}

extension CoordinatorLink {
    fileprivate func isDone(_ operation: Operation) async -> Bool {
        if case .failed = await call(operation).result { return false }
        return true
    }
}
