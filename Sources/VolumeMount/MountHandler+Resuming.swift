import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

/// What is kept for a later process of this node, and how that goes on with it (decision 18).
extension MountHandler.State {
    /// Notes the locks of a file as they are: the new ones first, so that none is ever missing.
    mutating func noteLocks(of file: FileHandle) {
        let before = lockRecords[file] ?? []
        let held = heldLocks.requests(of: file)
        if before.isEmpty && held.isEmpty { return }
        lockRecords[file] = held.isEmpty ? nil : held.map { ledger.add(.lock($0)) }
        for slot in before { ledger.remove(slot) }
    }

    /// Notes how far a file has grown that the coordinator does not know of.
    mutating func noteGrowth(of file: FileIndex) {
        guard let growth = filter.growthToNote(file) else {
            ledger.remove(growthRecords.removeValue(forKey: file))
            return
        }
        if let slot = growthRecords[file] {
            ledger.set(growth.claim, sizeBytes: growth.sizeBytes, of: slot)
        } else {
            growthRecords[file] = ledger.add(
                .growth(index: file.number, growth.claim, sizeBytes: growth.sizeBytes))
        }
    }

    /// Whatever was open is good for nothing any more, but for being closed.
    mutating func loseRecords() {
        for slot in openRecords.values { ledger.lose(slot) }
        for slot in lockRecords.values.joined() { ledger.remove(slot) }
        for slot in growthRecords.values { ledger.remove(slot) }
        lockRecords = [:]
        growthRecords = [:]
    }

    mutating func resume(_ records: [(slot: MountLedger.Slot, record: MountLedger.Record)]) {
        var files: [Int32: ResumedFile] = [:]
        var growths: [Int32: (claim: GrowthClaim, sizeBytes: UInt64)] = [:]
        for (slot, record) in records {
            switch record {
            case .node: break
            case .open(let open, let handle, let index, let isLost):
                openRecords[open] = slot
                files[
                    index,
                    default: ResumedFile(
                        index: FileIndex(number: index), handle: handle, openCount: 0,
                        isLost: isLost)
                ].openCount += 1
                guard !isLost else {
                    lostOpens += 1
                    continue
                }
                opens[open] = handle
                // Whether there are locks is asked at each close.
                lockedFiles.insert(handle)
            case .lock(let lock):
                heldLocks.granted(lock)
                lockRecords[lock.file, default: []].append(slot)
            case .growth(let index, let claim, let size):
                growths[index] = (claim, size)
                growthRecords[FileIndex(number: index)] = slot
            }
        }
        for (index, growth) in growths {
            files[index]?.growth = growth
            if files[index] == nil {
                ledger.remove(growthRecords.removeValue(forKey: FileIndex(number: index)))
            }
        }
        lastOpen = ledger.lastOpen
        filter.resume(files.values.sorted { $0.index.number < $1.index.number })
    }
}

extension MountHandler {
    /// Gives back what the process before held of layouts, through the link that tells: the
    /// coordinator's session still has them. And tells how far files have grown, before anything else
    /// is asked: what lies behind their visible end would not be found. False: the coordinator was lost.
    func returnResumed(through link: any CoordinatorLink) async -> Bool {
        let files = state.withLock { state in
            Set(state.opens.values).compactMap { handle in
                state.filter.index(of: handle).map { ($0, handle) }
            }
        }
        for (file, handle) in files {
            let growth = state.withLock { $0.filter.growthToNote(file) }
            let report = WriteReport(
                ageNanoseconds: growth == nil ? nil : 0, grownSizeBytes: growth?.sizeBytes)
            let answer = await link.call(.layoutReturn(handle, .everything, report))
            if case .failed(.notConnected) = answer.result { return false }
            guard growth != nil else { continue }
            if case .failed(let error) = answer.result {
                // What was acknowledged is not there any more.
                lose(handle, "growth", error)
                continue
            }
            state.withLock { state in
                state.filter.growthReturned(file)
                state.noteGrowth(of: file)
            }
        }
        return true
    }
}
