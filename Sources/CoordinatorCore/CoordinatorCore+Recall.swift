import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// A recall or a collection that a task wants of a session.
    struct WantedRecall {
        var session: NodeIdentity
        var file: FileHandle
        /// Nil: only tell what was written.
        var range: ByteRange?
    }

    /// Which sessions must return or tell something before `need` is met for a request of `session`.
    func recallsNeeded(for need: FileNeeds, by session: NodeIdentity) -> [WantedRecall] {
        guard let state = files[need.file] else { return [] }
        var wanted: [WantedRecall] = []
        if let free = need.free, !free.isEmpty, rules.contains(.recallBeforeRemap) {
            for (holder, range) in state.holders(of: free)
            where !(need.exceptOwnLayouts && holder == session) {
                wanted.append(WantedRecall(session: holder, file: need.file, range: range))
            }
        }
        if need.settledGrowth, let growth = state.growth, growth.session != session,
            !wanted.contains(where: { $0.session == growth.session })
        {
            wanted.append(
                WantedRecall(
                    session: growth.session, file: need.file, range: tail(of: need.file, from: .max)
                ))
        }
        if need.collectedWrites {
            let others = state.layouts.keys.filter { holder in
                holder != session && !wanted.contains { $0.session == holder }
            }
            for holder in others.sorted(by: { $0.name < $1.name }) {
                wanted.append(WantedRecall(session: holder, file: need.file, range: nil))
            }
        }
        return wanted
    }

    mutating func send(
        _ wanted: WantedRecall, for task: TaskID, _ actions: inout [CoordinatorAction]
    ) -> RecallID {
        let generation =
            wanted.range == nil ? nil : files[wanted.file]?.nextGeneration()
        let pending = PendingRecall(
            task: task, session: wanted.session, file: wanted.file, range: wanted.range,
            generation: generation ?? LayoutGeneration(0))
        let id = newRecall(pending)
        tasks[task]?.outstanding.insert(id)
        if sessions.contains(wanted.session) { ask(id, pending, &actions) }
        return id
    }

    /// Whether a recall asks a session that is no more.
    func hasEnded(_ recall: RecallID) -> Bool {
        recalls[recall].map { !sessions.contains($0.session) } ?? false
    }

    func ask(
        _ id: RecallID, _ pending: PendingRecall, _ actions: inout [CoordinatorAction]
    ) {
        if pending.isMetadata {
            actions.append(.recallMetadata(id, pending.session, pending.file))
        } else if let range = pending.range {
            actions.append(
                .recall(id, pending.session, pending.file, range, pending.generation))
        } else {
            actions.append(.collectWrites(id, pending.session, pending.file))
        }
    }

    /// Asks a session again for what it has not answered; an answer that comes twice counts once.
    mutating func askAgain(_ session: NodeIdentity, _ actions: inout [CoordinatorAction]) {
        let owed = recalls.filter { $0.value.session == session }
        for (id, pending) in owed.sorted(by: { $0.key.number < $1.key.number }) {
            ask(id, pending, &actions)
        }
    }

    /// A node has answered; the last answer lets the task go on.
    mutating func answered(
        _ recall: RecallID, _ report: WriteReport, _ actions: inout [CoordinatorAction]
    ) {
        guard let pending = recalls.removeValue(forKey: recall) else { return }
        var report = report
        report.unusedFill = nil
        if pending.isMetadata {
            metadata.returned(pending.file, by: pending.session)
            report = WriteReport()
        } else if let range = pending.range {
            files[pending.file]?.removeLayouts(of: pending.session, over: range)
            if let growth = files[pending.file]?.growth, growth.session == pending.session,
                report.grownSizeBytes == nil, range.endBytes > growth.visibleSizeBytes
            {
                report.grownSizeBytes = growth.visibleSizeBytes
            }
            accept(&report, from: pending.session, about: pending.file)
        } else {
            report.grownSizeBytes = nil
        }
        guard tasks[pending.task] != nil else { return }
        if !report.isEmpty { tasks[pending.task]?.reports.append((pending.file, report)) }
        tasks[pending.task]?.outstanding.remove(recall)
        guard tasks[pending.task]?.outstanding.isEmpty == true else { return }
        if tasks[pending.task]?.stage == .clearing {
            cleared(pending.task, &actions)
        } else {
            proceed(pending.task, &actions)
        }
    }
}
