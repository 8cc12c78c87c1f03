import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// Takes a task that holds its claims to the next command, or to waiting for nodes.
    mutating func proceed(_ id: TaskID, _ actions: inout [CoordinatorAction]) {
        guard let task = tasks[id] else { return }
        switch task.purpose {
        case .removeHidden(let file):
            // Opened again while this waited: its next last close comes back here.
            if files[file]?.isOpen ?? true {
                finish(id, nil, &actions)
            } else {
                execute(id, .removeHidden(file), .executing, &actions)
            }
        case .settleLost(let file, let report, let session):
            if let session, files[file]?.growth?.session != session {
                // Another task has settled it on its way.
                finish(id, nil, &actions)
                return
            }
            execute(id, .settle(file, report), .executing, &actions)
        case .makeRoom(let file):
            makeRoom(id, file, &actions)
        case .request(let session, _, let operation):
            proceed(id, task, session, operation, &actions)
        }
    }

    private mutating func proceed(
        _ id: TaskID, _ task: CoordinatorTask, _ session: NodeIdentity, _ operation: Operation,
        _ actions: inout [CoordinatorAction]
    ) {
        if let victim = task.victim {
            removeOrHide(id, operation, victim, &actions)
            return
        }
        if let entry = task.entry {
            let needs = FileNeeds(file: entry, settledGrowth: true, collectedWrites: true)
            satisfy(id, [needs], session, &actions) { core, actions in
                core.execute(id, .stat(entry), .refreshing, &actions)
            }
            return
        }
        switch operation {
        case .unlink(let name), .removeDirectory(let name):
            execute(id, .resolve([name]), .resolving, &actions)
            return
        case .rename(let name, let target, _):
            execute(id, .resolve([name, target]), .resolving, &actions)
            return
        case .release(let file, _, let report), .layoutReturn(let file, _, let report):
            if !task.hasRecalled {
                takeBack(id, session, operation, file, report)
            }
            settle(id, &actions) { core, actions in
                core.finish(id, .done, &actions)
            }
            return
        default:
            break
        }
        if case .write(let file, _, _) = operation, task.claimMode(of: file) == .shared,
            overwritten(by: operation, payloadBytes: task.payloadBytes) == nil
        {
            // The file has become shorter on the way.
            exchangeClaim(on: file, by: id, &actions)
            return
        }
        if let file = fileToSize(operation), files[file]?.sizeBytes == nil, task.stage != .sizing {
            execute(id, .stat(file), .sizing, &actions)
            return
        }
        satisfy(id, needs(of: operation, payloadBytes: task.payloadBytes), session, &actions) {
            core, actions in
            core.executeMain(id, session, operation, &actions)
        }
    }

    private mutating func executeMain(
        _ id: TaskID, _ session: NodeIdentity, _ operation: Operation,
        _ actions: inout [CoordinatorAction]
    ) {
        switch operation {
        case .layoutGet(let file, let range):
            execute(id, .map(file, range.wholeBlocks(Limits.blockSizeBytes)), .executing, &actions)
        case .layoutGrow(let file, let range):
            growOrDecline(id, session, file, range, &actions)
        case .layoutFill(let file, let range):
            fillOrDecline(id, session, file, range, &actions)
        default:
            if let file = fileToSize(operation) { files[file]?.fill = nil }
            execute(id, .perform(operation), .executing, &actions)
        }
    }

    mutating func execute(
        _ id: TaskID, _ command: Command, _ stage: CoordinatorTask.Stage,
        _ actions: inout [CoordinatorAction]
    ) {
        if tasks[id]?.operation?.showsMetadata == true { metadata.beginReading(id) }
        if recallMetadata(before: command, stage, of: id, &actions) { return }
        run(id, command, stage, &actions)
    }

    mutating func run(
        _ id: TaskID, _ command: Command, _ stage: CoordinatorTask.Stage,
        _ actions: inout [CoordinatorAction]
    ) {
        tasks[id]?.stage = stage
        actions.append(.execute(id, command))
    }

    /// Sends the recalls and collections that `needs` ask for, once, then settles what came back, then
    /// goes on with `next`.
    private mutating func satisfy(
        _ id: TaskID, _ needs: [FileNeeds], _ session: NodeIdentity,
        _ actions: inout [CoordinatorAction],
        then next: (inout CoordinatorCore, inout [CoordinatorAction]) -> Void
    ) {
        if tasks[id]?.hasRecalled == false {
            let wanted = needs.flatMap { recallsNeeded(for: $0, by: session) }
            if !wanted.isEmpty {
                // Settling changes the file, so it wants the file alone: queue again for that.
                for need in needs where tasks[id]?.claimMode(of: need.file) == .shared {
                    exchangeClaim(on: need.file, by: id, &actions)
                    return
                }
                tasks[id]?.hasRecalled = true
                tasks[id]?.stage = .recalling
                let recalls = wanted.map { send($0, for: id, &actions) }
                // A session that has ended owes nothing; what it held of the file's growth is cut.
                for recall in recalls where hasEnded(recall) {
                    answered(recall, WriteReport(), &actions)
                }
                return
            }
        }
        settle(id, &actions, then: next)
    }

    private mutating func settle(
        _ id: TaskID, _ actions: inout [CoordinatorAction],
        then next: (inout CoordinatorCore, inout [CoordinatorAction]) -> Void
    ) {
        if let (file, report) = tasks[id]?.reports.first {
            tasks[id]?.reports.removeFirst()
            tasks[id]?.hasRecalled = true
            tasks[id]?.settlingFile = file
            execute(id, .settle(file, report), .settling, &actions)
            return
        }
        next(&self, &actions)
    }

    private mutating func exchangeClaim(
        on file: FileHandle, by id: TaskID, _ actions: inout [CoordinatorAction]
    ) {
        // Its pieces too: who waits for the file alone must hold nothing that others of its holders want.
        let held = tasks[id]?.claims.map(\.0).filter { $0.file == file } ?? []
        tasks[id]?.claims.removeAll { $0.0.file == file }
        let gained = claims.release(held, by: id)
        claim([(.file(file), .exclusive)], by: id, &actions)
        wake(gained, &actions)
    }

    /// Takes note of what a session gives back with a release or a return.
    private mutating func takeBack(
        _ id: TaskID, _ session: NodeIdentity, _ operation: Operation, _ file: FileHandle,
        _ report: WriteReport
    ) {
        var report = report
        if case .layoutReturn(_, let range, _) = operation, !range.isEmpty {
            files[file]?.removeLayouts(of: session, over: range)
        }
        if case .release(_, let open, _) = operation {
            unregister(open, of: file, by: session)
            if files[file]?.opens[session] == nil {
                files[file]?.layouts[session] = nil
                if let growth = files[file]?.growth, growth.session == session,
                    report.grownSizeBytes == nil
                {
                    report.grownSizeBytes = growth.visibleSizeBytes
                }
            }
        }
        accept(&report, from: session, about: file)
        takeFillBack(&report, from: session, about: file)
        // Whatever is not given back now was used, or is nobody's to give back any more.
        if files[file]?.opens[session] == nil, files[file]?.fill?.session == session {
            files[file]?.fill = nil
        }
        if !report.isEmpty { tasks[id]?.reports.append((file, report)) }
    }

    /// Ends a session's growth where its report tells how far it came; without a growth, the size in a
    /// report is old news.
    mutating func accept(
        _ report: inout WriteReport, from session: NodeIdentity, about file: FileHandle
    ) {
        guard let grown = report.grownSizeBytes else { return }
        guard let growth = files[file]?.growth, growth.session == session else {
            report.grownSizeBytes = nil
            return
        }
        report.grownSizeBytes = min(max(grown, growth.visibleSizeBytes), growth.allocatedEndBytes)
        files[file]?.growth = nil
        let cut = (report.grownSizeBytes ?? 0) & ~(Limits.blockSizeBytes - 1)
        files[file]?.removeLayouts(of: session, over: ByteRange(start: cut, end: .max))
    }

    private mutating func growOrDecline(
        _ id: TaskID, _ session: NodeIdentity, _ file: FileHandle, _ range: ByteRange,
        _ actions: inout [CoordinatorAction]
    ) {
        guard files[file]?.opens[session] != nil else {
            finish(id, .failed(.badDescriptor), &actions)
            return
        }
        guard let state = files[file], let size = state.sizeBytes, range.endBytes > size,
            range.endBytes < UInt64(Int64.max)
        else {
            finish(id, .sendData, &actions)
            return
        }
        // A file whose end another session wants to see is better grown by sending the data along.
        let isContended = state.growth.map { $0.session != session } ?? false
        if isContended || (state.opens.count > 1 && tasks[id]?.hasRecalled == true) {
            finish(id, .sendData, &actions)
            return
        }
        let block = Limits.blockSizeBytes
        let end = range.wholeBlocks(block).endBytes
        let start = (state.visibleSizeBytes ?? size) & ~(block - 1)
        execute(
            id,
            .grow(
                file, ByteRange(start: min(start, end), end: end),
                zerosFrom: range.startBytes & ~(block - 1)),
            .executing, &actions)
    }
}
