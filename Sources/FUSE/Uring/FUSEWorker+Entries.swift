import VolumeModel

/// Requests that come in ring entries.
extension FUSEWorker {
    /// Those that were there before the worker ran.
    func takeEarly() {
        guard let uring = core.uring else { return }
        let early = uring.pointee.early
        uring.pointee.early = []
        for slot in early { dispatchEntry(slot) }
    }

    func dispatchEntry(_ slot: Int) {
        guard let bytes = core.requestOfEntry(slot) else {
            core.channel.connection.logger.error("malformed FUSE ring entry")
            return answer(slot, error: -ErrorCode.inputOutput.number)
        }
        // The worker's own: see `FUSEWorkerCore.nudge`.
        if bytes.load(fromByteOffset: 4, as: UInt32.self) == FUSEOpcode.notifyReply.rawValue {
            return answer(slot, error: 0)
        }
        dispatch(bytes, index: slot)
    }

    private func answer(_ slot: Int, error: Int32) {
        _ = core.answerEntry(
            slot, unique: core.slots[slot].unique, error: error, data: nil, lengthBytes: 0)
    }
}

extension FUSEWorkerCore {
    /// The connection is over: the kernel has answered by itself what is held, and takes nothing.
    func endEntries() {
        hasEnded.store(true, ordering: .relaxed)
        uring?.pointee.isOver = true
    }
}
