import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// Ends a task: its claims go to who waits for them, its reply leaves.
    mutating func finish(
        _ id: TaskID, _ result: OperationResult?, _ actions: inout [CoordinatorAction]
    ) {
        guard let task = tasks.removeValue(forKey: id) else { return }
        if case .request(let session, let sequence, let operation) = task.purpose {
            if var result {
                let grant = grantMetadata(id, task, &result, &actions)
                reply(session, sequence, result, granting: grant, &actions)
            }
            if case .release(let file, let open, _) = operation {
                endLocks(locks.releaseOpen(file: file, session: session, open: open), &actions)
            }
        }
        endMetadata(id, task)
        let gained = claims.release(task.claims.map(\.0), by: id)
        wake(gained, &actions)
        for case (.file(let file), _) in task.claims { forgetIfUnused(file, &actions) }
    }

    /// Tells tasks that one of their claims is held now.
    mutating func wake(_ gained: [TaskID], _ actions: inout [CoordinatorAction]) {
        for id in gained {
            guard var task = tasks[id] else { continue }
            task.missingClaims -= 1
            tasks[id] = task
            if task.missingClaims == 0 { proceed(id, &actions) }
        }
    }
}

extension Operation {
    /// The file whose size a performed operation tells.
    var sizedFile: FileHandle? {
        switch self {
        case .attributes(let file), .setAttributes(let file, _), .allocate(let file, _, _),
            .write(let file, _, _), .open(let file, _):
            file
        case .copyRange(_, _, let target, _, _):
            target
        default:
            nil
        }
    }
}
