import CLinux
import Glibc
import IORing
import VolumeModel

/// Ring entries, on the worker's thread but for the answers.
extension FUSEWorkerCore {
    /// Gives every queue of this worker its entries. Throws where the kernel refuses one at once.
    func registerEntries() throws(ErrorCode) {
        guard let uring else { return }
        registerMemory()
        for position in uring.pointee.queues.indices {
            for _ in 0..<uring.pointee.queues[position].wanted { _ = register(position) }
        }
        try ring.submitAndPoll()
        var failure: ErrorCode?
        ring.takeCompletions { completion in
            // Where the other workers were first, requests may be there already.
            if let error = completion.error { failure = error }
            if let slot = entryCompleted(completion) { uring.pointee.early.append(slot) }
        }
        if let failure { throw failure }
    }

    /// Has the ring hold the device, and the front of the buffers that all queues begin with. Where it
    /// cannot, all goes as well without.
    func registerMemory() {
        guard let uring else { return }
        do throws(ErrorCode) {
            try ring.registerFile(descriptor)
            uring.pointee.isDeviceRegistered = true
            try ring.registerBuffers(
                (0..<uring.pointee.wantedCount).map {
                    iovec(
                        iov_base: buffer(uring.pointee.firstSlot + $0),
                        iov_len: FUSELimits.registeredBufferBytes)
                })
            uring.pointee.registeredBuffers = uring.pointee.wantedCount
        } catch {
            channel.connection.logger.debug(
                "the FUSE ring goes without registered memory", metadata: ["errno": "\(error)"])
        }
    }

    /// The registered buffer that a slot's bytes up to `endBytes` lie in.
    func registeredBuffer(_ index: Int, endBytes: Int) -> Int32? {
        guard let uring, endBytes <= FUSELimits.registeredBufferBytes else { return nil }
        let number = index - uring.pointee.firstSlot
        return number >= 0 && number < uring.pointee.registeredBuffers ? Int32(number) : nil
    }

    /// Gives a queue one more entry; false where none is left.
    func register(_ position: Int) -> Bool {
        guard let uring else { return false }
        let number: Int
        if let known = uring.pointee.reusable.popLast() {
            number = known
        } else {
            guard uring.pointee.firstUnused < uring.pointee.entryMaximum else { return false }
            number = uring.pointee.firstUnused
            uring.pointee.firstUnused += 1
        }
        let control = uring.pointee.control.entries.baseAddress! + number
        control.pointee.queue = Int32(position)
        control.pointee.slot =
            uring.pointee.entries[number].slot - Int32(uring.pointee.firstSlot)
        control.pointee.isRegistered = 1
        uring.pointee.entries[number].queue = Int32(position)
        uring.pointee.queues[position].count += 1
        uring.pointee.queues[position].available += 1
        uring.pointee.queues[position].unsent += 1
        let place = uring.pointee.memory.entry(number)
        // The array is read with the submit; the rest of the header's page is nobody's until then.
        let parts =
            (slots[Int(uring.pointee.entries[number].slot)].memory
            + FUSELimits.ringPartsOffset).assumingMemoryBound(to: iovec.self)
        parts[0] = iovec(iov_base: place, iov_len: covol_fuse_ring_header_bytes)
        parts[1] = iovec(
            iov_base: place + FUSELimits.pageSizeBytes, iov_len: FUSELimits.slotBufferBytes)
        ring.queueFUSERegister(
            descriptor: descriptor, queue: uring.pointee.queues[position].number,
            parts: parts, userData: Source.entry.rawValue | UInt64(number) << 8)
        return true
    }

    /// Takes an entry back from the kernel: the slot that its request lies in; nil where the kernel
    /// let go of the entry, which is all that it does after the connection's end.
    func entryCompleted(_ completion: IORingCompletion) -> Int? {
        guard let uring else { preconditionFailure("an entry of no ring") }
        let number = Int(completion.userData >> 8)
        let position = Int(uring.pointee.entries[number].queue)
        uring.pointee.queues[position].available -= 1
        guard completion.result >= 0, !uring.pointee.isOver else {
            uring.pointee.queues[position].count -= 1
            if let error = completion.error, !Self.isEnd(error), !uring.pointee.isOver {
                channel.connection.logger.error(
                    "the kernel refused a FUSE ring entry", metadata: ["errno": "\(error)"])
            }
            return nil
        }
        return arrived(number)
    }

    /// An entry came back from the kernel with a request.
    func arrived(_ number: Int) -> Int {
        guard let uring else { preconditionFailure("an entry of no ring") }
        let position = Int(uring.pointee.entries[number].queue)
        uring.pointee.queues[position].arrivals += 1
        if uring.pointee.queues[position].available == uring.pointee.queues[position].unsent {
            ranOut(position)
        }
        return take(number)
    }

    /// The slot of an entry that has a request.
    func take(_ number: Int) -> Int {
        guard let uring else { preconditionFailure("an entry of no ring") }
        let slot = Int(uring.pointee.entries[number].slot)
        let memory = slots[slot].memory
        uring.pointee.control.entries[number].opcode = memory.load(
            fromByteOffset: 4, as: UInt32.self)
        slots[slot].isHeld = true
        slots[slot].use = .none
        slots[slot].unique = memory.load(fromByteOffset: 8, as: UInt64.self)
        slots[slot].nodeID = memory.load(fromByteOffset: 16, as: UInt64.self)
        slots[slot].commitID = memory.load(
            fromByteOffset: covol_fuse_ring_commit_id_offset, as: UInt64.self)
        if slots[slot].commitID < FUSERingEntries.firstNudge {
            uring.pointee.control.note(slots[slot].commitID)
        }
        return slot
    }

    private static func isEnd(_ error: ErrorCode) -> Bool {
        switch error {
        case .notConnected, .noDevice, connectionAborted, cancelled: true
        default: false
        }
    }

    /// Entries that the kernel has not let go of. At the connection's end it does, and a ring that is
    /// left before would keep an unmount waiting.
    var entriesWithKernel: Int {
        uring?.pointee.queues.reduce(0) { $0 + $1.available } ?? 0
    }

    /// What this worker has in hand of the ring's requests.
    var requestCounts: FUSERequestCounts {
        guard let uring else { return FUSERequestCounts() }
        return uring.pointee.queues.reduce(into: FUSERequestCounts()) { counts, queue in
            counts.inHand += queue.count - queue.available
            counts.waiting += queue.waiting
            counts.returned &+= queue.returned
        }
    }

    /// The request in a slot, as it would be read from the device: header and first argument are moved
    /// to where the payload begins. Nil where the lengths contradict each other.
    func requestOfEntry(_ slot: Int) -> UnsafeRawBufferPointer? {
        let memory = slots[slot].memory
        let length = Int(memory.load(as: UInt32.self))
        let payload = Int(
            memory.load(fromByteOffset: covol_fuse_ring_payload_bytes_offset, as: UInt32.self))
        let argument = length - FUSERequestHeader.sizeBytes - payload
        guard payload <= FUSELimits.slotBufferBytes, argument >= 0,
            argument <= covol_fuse_ring_operation_offset
        else { return nil }
        let start = buffer(slot) - argument - FUSERequestHeader.sizeBytes
        start.copyMemory(from: memory, byteCount: FUSERequestHeader.sizeBytes)
        (start + FUSERequestHeader.sizeBytes).copyMemory(
            from: memory + covol_fuse_ring_operation_offset, byteCount: argument)
        return UnsafeRawBufferPointer(start: start, count: length)
    }

    // MARK: Answers, from any thread

    /// Puts an answer into a slot and hands it to the kernel, or has the worker do so. False where the
    /// connection is known to be over.
    func answerEntry(
        _ slot: Int, unique: UInt64, error: Int32, data: UnsafeRawPointer?, lengthBytes: Int
    ) -> Bool {
        precondition(
            slots[slot].isHeld && slots[slot].unique == unique, "a FUSE request was answered twice")
        precondition(lengthBytes <= FUSELimits.slotBufferBytes, "an answer of more than a payload")
        let memory = slots[slot].memory
        let noted = uring!.pointee.control.entries.baseAddress! + Int(slots[slot].entry)
        noted.pointee.answering = slots[slot].commitID
        covol_fuse_fence()
        memory.storeBytes(of: UInt32(16 + lengthBytes), as: UInt32.self)
        memory.storeBytes(of: error, toByteOffset: 4, as: Int32.self)
        memory.storeBytes(of: unique, toByteOffset: 8, as: UInt64.self)
        memory.storeBytes(
            of: UInt32(lengthBytes), toByteOffset: covol_fuse_ring_payload_bytes_offset,
            as: UInt32.self)
        let payload = buffer(slot)
        if let data, data != UnsafeRawPointer(payload) { memmove(payload, data, lengthBytes) }
        covol_fuse_fence()
        noted.pointee.isAnswerOnItsWay = 1
        covol_fuse_fence()
        noted.pointee.answered = slots[slot].commitID
        slots[slot].isHeld = false
        if isOnThread { commit(slot) } else { post(.commit(slot: Int32(slot))) }
        return !hasEnded.load(ordering: .relaxed)
    }

    /// After every submit, before its completions are looked at: the kernel has the answers.
    func noteSubmitted() {
        guard let uring else { return }
        for index in 0..<uring.pointee.unsentCount {
            let number = Int(uring.pointee.unsent[index])
            uring.pointee.control.entries[number].isAnswerOnItsWay = 0
        }
        uring.pointee.unsentCount = 0
    }

    /// Gives the entry of an answered slot back to the kernel.
    func commit(_ slot: Int) {
        guard let uring else { preconditionFailure("an entry of no ring") }
        let number = Int(slots[slot].entry)
        let position = Int(uring.pointee.entries[number].queue)
        endUse(slot, position)
        guard !uring.pointee.isOver else {
            uring.pointee.queues[position].count -= 1
            return
        }
        uring.pointee.queues[position].available += 1
        uring.pointee.queues[position].returned &+= 1
        uring.pointee.queues[position].unsentCommits += 1
        uring.pointee.queues[position].unsent += 1
        // More than there are cannot be: each comes back before it is given back again.
        uring.pointee.unsent[uring.pointee.unsentCount] = Int32(number)
        uring.pointee.unsentCount += 1
        ring.queueFUSECommit(
            descriptor: uring.pointee.isDeviceRegistered ? nil : descriptor,
            queue: uring.pointee.queues[position].number, commitID: slots[slot].commitID,
            userData: Source.entry.rawValue | UInt64(number) << 8)
    }
}
