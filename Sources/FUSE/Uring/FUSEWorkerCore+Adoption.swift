import CLinux
import Glibc
import IORing
import VolumeModel

/// Ring entries that another process had registered, which has ended; on the worker's thread.
///
/// With that process the kernel let go of the entries that waited for requests. A request that an entry
/// holds stays with it: it is answered by its number, from the same memory at the same address. Three
/// kinds are there (`fs/fuse/dev_uring.c`, Linux 6.18): those that lie in the memory; those whose answer
/// lies there, and which the kernel may have taken or not; and those that were on their way into the
/// memory when the process ended. The last ones are nowhere to be read. Where the kernel has not ended
/// them itself (with ECANCELED), they wait for an answer to a number that can only be guessed, and who
/// made them is told to try again.
extension FUSEWorkerCore {
    /// Takes over what there is, and gives every queue its entries.
    /// - Parameter unseen: numbers that requests may have of which nothing is known.
    func adoptEntries(unseen: [UInt64]) throws(ErrorCode) {
        guard let uring else { return }
        try restorePlaces()
        registerMemory()
        var mayBeAnswered: [Int] = []
        for number in 0..<uring.pointee.firstUnused {
            let noted = uring.pointee.control.entries[number]
            let request = commitID(number)
            let position = Int(noted.queue)
            guard uring.pointee.queues.indices.contains(position) else { throw .notSupported }
            uring.pointee.entries[number].queue = noted.queue
            let isTaken = request == noted.answered && noted.isAnswerOnItsWay == 0
            if request == 0 || isTaken {
                uring.pointee.reusable.append(number)
            } else if request == noted.answered {
                mayBeAnswered.append(number)
            } else {
                uring.pointee.queues[position].count += 1
                let isOpen = request != noted.answering
                let opcode = noted.opcode
                let slot = take(number)
                // The answer had been begun: the request itself is gone.
                if !isOpen { uring.pointee.control.entries[number].opcode = opcode }
                slots[slot].unique = request
                if isOpen {
                    uring.pointee.adopted.append(slot)
                } else {
                    let error = FUSEOpcode.isRepeatable(opcode) ? Self.again : .inputOutput
                    _ = answerEntry(
                        slot, unique: request, error: -error.number, data: nil, lengthBytes: 0)
                }
            }
        }
        try answerAgain(mayBeAnswered)
        try answerLost(unseen)
        uring.pointee.lastFile = uring.pointee.control.lastFile
        for position in uring.pointee.queues.indices {
            refill(position)
            // What came while nobody was there waits for an entry that is given back.
            ranOut(position)
        }
        try ring.submitAndPoll()
        try takeEarly()
    }

    /// EAGAIN: QEMU, and who else expects it of a file, does the same once more.
    private static var again: ErrorCode { .tryAgain }

    /// Where a request of this worker's entries came, by the number that the kernel answers it by.
    private func commitID(_ number: Int) -> UInt64 {
        guard let uring else { return 0 }
        return slots[Int(uring.pointee.entries[number].slot)].memory.load(
            fromByteOffset: covol_fuse_ring_commit_id_offset, as: UInt64.self)
    }

    /// Which entry shows which slot's pages.
    private func restorePlaces() throws(ErrorCode) {
        guard let uring else { return }
        let control = uring.pointee.control
        let first = uring.pointee.firstSlot
        let registered = control.entries.indices.filter { control.entries[$0].isRegistered == 1 }
        uring.pointee.firstUnused = (registered.last ?? -1) + 1
        var free = Set(first..<(first + 2 * uring.pointee.entryMaximum))
        for number in control.entries.indices {
            var slot = first + number
            if number < uring.pointee.firstUnused, Int(control.entries[number].slot) != number {
                slot = first + Int(control.entries[number].slot)
                guard free.contains(slot) else { throw .notSupported }
                try uring.pointee.memory.show(slot: slot - first, inEntry: number)
                if slots[first + number].entry == Int32(number) { slots[first + number].entry = -1 }
                slots[slot].entry = Int32(number)
                uring.pointee.entries[number].slot = Int32(slot)
            }
            free.remove(slot)
        }
        uring.pointee.replacementCount = 0
        for slot in free.sorted(by: >) {
            uring.pointee.replacements[uring.pointee.replacementCount] = Int32(slot)
            uring.pointee.replacementCount += 1
        }
    }

    /// Hands complete answers to the kernel, which has taken most of them already.
    private func answerAgain(_ numbers: [Int]) throws(ErrorCode) {
        guard let uring else { return }
        for number in numbers {
            let position = Int(uring.pointee.entries[number].queue)
            uring.pointee.queues[position].count += 1
            uring.pointee.queues[position].available += 1
            ring.queueFUSECommit(
                descriptor: uring.pointee.isDeviceRegistered ? nil : descriptor,
                queue: uring.pointee.queues[position].number, commitID: commitID(number),
                userData: Source.entry.rawValue | UInt64(number) << 8)
        }
        try ring.submitAndPoll()
        try takeEarly()
    }

    /// Takes what came of what was submitted while the worker is not running yet. A number that the
    /// kernel does not know was answered before.
    private func takeEarly() throws(ErrorCode) {
        guard let uring else { return }
        noteSubmitted()
        var failure: ErrorCode?
        ring.takeCompletions { completion in
            guard Source(rawValue: completion.userData & 0xff) == .entry else { return }
            let number = Int(completion.userData >> 8)
            let position = Int(uring.pointee.entries[number].queue)
            if completion.error == .noEntry {
                uring.pointee.queues[position].count -= 1
                uring.pointee.queues[position].available -= 1
                uring.pointee.reusable.append(number)
            } else if let slot = entryCompleted(completion) {
                uring.pointee.early.append(slot)
            } else {
                failure = completion.error
            }
        }
        if let failure { throw failure }
    }

    /// Tries every number that a request may have. Whatever is found has its answer read from the
    /// memory of an entry that is not known: so all those hold the same.
    private func answerLost(_ unseen: [UInt64]) throws(ErrorCode) {
        guard let uring, !uring.pointee.reusable.isEmpty else { return }
        var found = 0
        // Not what has come since: with an answer an entry may have got its next request.
        for unique in unseen where !uring.pointee.control.hasSeen(unique) {
            for number in uring.pointee.reusable {
                let memory = slots[Int(uring.pointee.entries[number].slot)].memory
                memory.storeBytes(of: 16, as: UInt32.self)
                memory.storeBytes(of: -Self.again.number, toByteOffset: 4, as: Int32.self)
                memory.storeBytes(of: unique, toByteOffset: 8, as: UInt64.self)
                memory.storeBytes(
                    of: 0, toByteOffset: covol_fuse_ring_payload_bytes_offset, as: UInt32.self)
                memory.storeBytes(
                    of: 0, toByteOffset: covol_fuse_ring_commit_id_offset, as: UInt64.self)
            }
            for position in uring.pointee.queues.indices where try answerLost(unique, position) {
                found += 1
            }
        }
        guard found > 0 else { return }
        channel.connection.triedAgain.add(found, ordering: .relaxed)
        channel.connection.logger.notice(
            "requests were lost with the process that served this mount: who made them tries again",
            metadata: ["requests": "\(found)"])
        uring.pointee.unlocated = Set(uring.pointee.reusable)
        uring.pointee.reusable = []
    }

    private func answerLost(_ unique: UInt64, _ position: Int) throws(ErrorCode) -> Bool {
        guard let uring else { return false }
        let userData = Source.lost.rawValue | UInt64(position) << 8
        uring.pointee.queues[position].count += 1
        uring.pointee.queues[position].available += 1
        ring.queueFUSECommit(
            descriptor: uring.pointee.isDeviceRegistered ? nil : descriptor,
            queue: uring.pointee.queues[position].number, commitID: unique, userData: userData)
        try ring.submitAndPoll()
        noteSubmitted()
        var isFound = true
        ring.takeCompletions { completion in
            guard Source(rawValue: completion.userData & 0xff) == .lost else {
                if let slot = entryCompleted(completion) { uring.pointee.early.append(slot) }
                return
            }
            if completion.result >= 0 {
                // One that waited took its place.
                uring.pointee.unlocated = Set(uring.pointee.reusable)
                if let slot = lostCompleted(completion) { uring.pointee.early.append(slot) }
            } else {
                let other = Int(completion.userData >> 8)
                uring.pointee.queues[other].count -= 1
                uring.pointee.queues[other].available -= 1
                if other == position { isFound = false }
            }
        }
        return isFound
    }

    /// A request came into an entry that was found by its last one: the slot that it lies in.
    func lostCompleted(_ completion: IORingCompletion) -> Int? {
        guard let uring else { return nil }
        let position = Int(completion.userData >> 8)
        uring.pointee.queues[position].available -= 1
        guard completion.result >= 0, !uring.pointee.isOver,
            let number = uring.pointee.unlocated.first(where: { commitID($0) != 0 })
        else {
            uring.pointee.queues[position].count -= 1
            return nil
        }
        uring.pointee.unlocated.remove(number)
        uring.pointee.reusable.removeAll { $0 == number }
        uring.pointee.entries[number].queue = Int32(position)
        uring.pointee.control.entries[number].queue = Int32(position)
        return arrived(number)
    }

    /// A request was read from the device into a slot. Those of the ring are noted as they come.
    func noteRead(_ unique: UInt64, _ slot: Int) {
        if slots[slot].entry < 0 { uring?.pointee.control.note(unique) }
    }
}

extension FUSEWorker {
    /// What another process had in hand is carried out, perhaps once more, where that does no harm.
    func takeAdopted() {
        guard let uring = core.uring else { return }
        let adopted = uring.pointee.adopted
        uring.pointee.adopted = []
        for slot in adopted {
            let number = Int(core.slots[slot].entry)
            if FUSEOpcode.isRepeatable(uring.pointee.control.entries[number].opcode) {
                dispatchEntry(slot)
            } else {
                _ = core.answerEntry(
                    slot, unique: core.slots[slot].unique, error: -ErrorCode.inputOutput.number,
                    data: nil, lengthBytes: 0)
            }
        }
    }
}

extension FUSEOpcode {
    /// Done twice it is as done once. What makes, moves or removes a name is not: where it was done and
    /// its answer lost, it fails the second time.
    static func isRepeatable(_ opcode: UInt32) -> Bool {
        switch FUSEOpcode(rawValue: opcode) {
        case .symlink, .mknod, .mkdir, .unlink, .rmdir, .rename, .rename2, .link, .create, .tmpfile,
            .setxattr, .removexattr, nil:
            false
        default: true
        }
    }
}

/// Finds out which numbers requests may have that a process had taken, and of which nothing is known.
enum FUSELostRequests {
    /// How far behind the newest known number one may lie.
    private static let windowCount: UInt64 = 2048
    private static let maximum = 4096

    /// - Parameter waiting: how many requests the kernel waits for in all.
    static func unseen(in memories: [FUSERingMemory], waiting: Int) -> [UInt64] {
        let controls = memories.map(\.control)
        var held: Set<UInt64> = []
        for memory in memories {
            for (number, entry) in memory.control.entries.enumerated()
            where entry.isRegistered == 1 {
                let isThere = entry.slot >= 0 && entry.slot < 2 * memory.state.entryMaximum
                held.insert(
                    memory.slot(isThere ? Int(entry.slot) : number).load(
                        fromByteOffset: covol_fuse_ring_commit_id_offset, as: UInt64.self))
            }
        }
        let known = controls.map(\.lastSeen).max() ?? 0
        // Not those of the workers' own requests.
        let newest = max(known, held.filter { $0 < FUSERingEntries.firstNudge }.max() ?? 0)
        guard newest > 0, waiting > 0 else { return [] }
        let first = newest > 2 * windowCount ? newest - 2 * windowCount : 2
        let last = newest + 2 * UInt64(waiting + 16)
        return Array(
            stride(from: first, through: last, by: 2).lazy
                .filter { number in
                    !held.contains(number) && !controls.contains { $0.hasSeen(number) }
                }.prefix(maximum))
    }
}
