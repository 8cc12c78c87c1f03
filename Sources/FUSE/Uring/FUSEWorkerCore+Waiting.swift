import VolumeModel

/// Entries whose requests may wait for ever, and what takes their place; on the worker's thread.
extension FUSEWorkerCore {
    /// A request may hold its entry for long from now on: its queue gets another one.
    func wait(_ slot: Int, use: FUSESlotState.Use) {
        guard let uring else { return }
        let position = Int(uring.pointee.entries[Int(slots[slot].entry)].queue)
        slots[slot].use = use
        uring.pointee.waitingCount += 1
        if use == .lockWaiting { uring.pointee.lockWaitCount += 1 }
        uring.pointee.queues[position].waiting += 1
        refill(position)
    }

    func refill(_ position: Int) {
        guard let uring else { return }
        while uring.pointee.queues[position].count - uring.pointee.queues[position].waiting
            < uring.pointee.queues[position].wanted
        {
            guard register(position) else { return }
            // In a burst the kernel had none before this one.
            ranOut(position)
        }
    }

    /// A slot's request is answered.
    func endUse(_ slot: Int, _ position: Int) {
        guard let uring else { return }
        switch slots[slot].use {
        case .none: return
        case .data:
            counts.pointee.heldCount -= 1
        case .waiting, .lockWaiting:
            uring.pointee.waitingCount -= 1
            if slots[slot].use == .lockWaiting { uring.pointee.lockWaitCount -= 1 }
            uring.pointee.queues[position].waiting -= 1
        }
        slots[slot].use = .none
    }

    /// What is answered instead of handed out, because too much waits here already. What gives
    /// something up is never refused.
    func refusal(_ opcode: UInt32) -> ErrorCode? {
        guard let uring else { return nil }
        switch FUSEOpcode(rawValue: opcode) {
        case .setlkw?:
            return uring.pointee.lockWaitCount < uring.pointee.lockWaitMaximum ? nil : .noLocks
        case .release?, .releasedir?, .flush?, .destroy?: return nil
        default:
            return uring.pointee.waitingCount < uring.pointee.waitingMaximum ? nil : .noMemory
        }
    }

    /// Moves a request to a slot of its own: the kernel finds that one's pages in the entry from now
    /// on. Nil where no slot is left, or no memory for it.
    func abandonInEntry(_ slot: Int) -> Int? {
        guard let uring, uring.pointee.replacementCount > 0 else { return nil }
        let number = Int(slots[slot].entry)
        let fresh = Int(uring.pointee.replacements[uring.pointee.replacementCount - 1])
        do throws(ErrorCode) {
            try uring.pointee.memory.show(
                slot: fresh - uring.pointee.firstSlot, inEntry: number)
        } catch {
            channel.connection.logger.error(
                "no memory to leave hung LUN I/O behind", metadata: ["errno": "\(error)"])
            return nil
        }
        uring.pointee.replacementCount -= 1
        uring.pointee.entries[number].slot = Int32(fresh)
        uring.pointee.control.entries[number].slot = Int32(fresh - uring.pointee.firstSlot)
        slots[fresh].entry = Int32(number)
        slots[fresh].unique = slots[slot].unique
        slots[fresh].nodeID = slots[slot].nodeID
        slots[fresh].commitID = slots[slot].commitID
        slots[fresh].use = slots[slot].use
        slots[fresh].isHeld = true
        slots[slot].entry = -1
        slots[slot].use = .none
        slots[slot].isHeld = false
        slots[slot].isAbandoned = true
        return fresh
    }
}
