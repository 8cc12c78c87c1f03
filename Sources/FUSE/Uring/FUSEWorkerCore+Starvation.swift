import CLinux
import Glibc
import VolumeModel

/// Queues whose entries were all taken; on the worker's thread.
///
/// A request that finds no entry waits in the kernel until one is given back: a newly registered entry
/// takes only what comes after it (`fuse_uring_do_register`, Linux 6.18). So where none is given back
/// for a while, the worker registers further ones and has the kernel send it requests of its own, which
/// it answers at once: with each answer the kernel hands out one that waits.
extension FUSEWorkerCore {
    /// Before a submit.
    func willSubmit() {
        guard let uring else { return }
        for position in uring.pointee.queues.indices {
            uring.pointee.queues[position].sentCommits =
                uring.pointee.queues[position].unsentCommits
            uring.pointee.queues[position].unsentCommits = 0
            uring.pointee.queues[position].unsent = 0
            uring.pointee.queues[position].arrivals = 0
        }
    }

    /// After a submit, when its completions were taken: an entry that was given back and did not come
    /// again at once found nothing that waited.
    func didSubmit() {
        guard let uring else { return }
        for position in uring.pointee.queues.indices
        where uring.pointee.queues[position].mayHaveBacklog
            && uring.pointee.queues[position].arrivals < uring.pointee.queues[position].sentCommits
        {
            uring.pointee.queues[position].mayHaveBacklog = false
        }
    }

    /// The kernel has, or had, no entry of a queue.
    func ranOut(_ position: Int) {
        guard let uring else { return }
        if !uring.pointee.queues[position].mayHaveBacklog {
            uring.pointee.queues[position].mayHaveBacklog = true
            let returned = uring.pointee.queues[position].returned
            uring.pointee.queues[position].returnedBefore = returned
        }
        watchBacklogs()
    }

    private func watchBacklogs() {
        guard let uring, !uring.pointee.isTimerArmed else { return }
        uring.pointee.isTimerArmed = true
        ring.queueTimeout(uring.pointee.timeout, userData: Source.starved.rawValue)
    }

    /// The time is over: helps queues to which no entry was given back meanwhile.
    func lookAtBacklogs() {
        guard let uring else { return }
        uring.pointee.isTimerArmed = false
        guard !uring.pointee.isOver else { return }
        var looksAgain = false
        for position in uring.pointee.queues.indices
        where uring.pointee.queues[position].mayHaveBacklog {
            let queue = uring.pointee.queues[position]
            uring.pointee.queues[position].returnedBefore = queue.returned
            if queue.returned == queue.returnedBefore {
                if queue.available == 0 {
                    for _ in 0..<FUSELimits.starvationEntries where !register(position) { break }
                }
                nudge(position)
            }
            // With none left nothing helps before an answer, and then the kernel helps itself.
            let isExhausted = uring.pointee.firstUnused == uring.pointee.entryMaximum
            if uring.pointee.queues[position].available > 0 || !isExhausted { looksAgain = true }
        }
        if looksAgain { watchBacklogs() }
    }

    /// Has the kernel send requests to a queue for its entries (FUSE_NOTIFY_RETRIEVE of nothing, of a
    /// regular file that it knows): they go to the queue of the CPU that asks.
    private func nudge(_ position: Int) {
        guard let uring else { return }
        let count = min(uring.pointee.queues[position].available, FUSELimits.starvationEntries)
        guard count > 0, let node = knownFile else { return }
        // The registrations first: what is sent before them would queue up as well.
        willSubmit()
        // Where this fails, so does the worker's next submit, which says so.
        do throws(ErrorCode) { try ring.submitAndPoll() } catch { return }
        let first = uring.pointee.lastNudge + 2
        uring.pointee.lastNudge += 2 * UInt64(count)
        let result = covol_fuse_nudge(
            channel.descriptor, uring.pointee.queues[position].number, node, first, UInt32(count))
        if result != 0 {
            channel.connection.logger.debug(
                "a FUSE queue could not be nudged", metadata: ["errno": "\(-result)"])
        }
    }

    /// A file that is open as long as one of its requests is held; else the last one that had any.
    private var knownFile: UInt64? {
        guard let uring else { return nil }
        for number in 0..<uring.pointee.firstUnused {
            let slot = slots[Int(uring.pointee.entries[number].slot)]
            if slot.isHeld && (slot.use == .data || slot.use == .lockWaiting) { return slot.nodeID }
        }
        return uring.pointee.lastFile == 0 ? nil : uring.pointee.lastFile
    }
}
