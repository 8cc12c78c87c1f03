import CLinux
import Glibc

/// A place for one request that the kernel knows. It is with the kernel until a request is in it, and
/// with the worker until the answer is.
struct FUSERingEntry {
    /// Whose memory the kernel finds in it.
    var slot: Int32
    /// The position in ``FUSERingEntries/queues``.
    var queue: Int32 = 0
}

/// One of the kernel's queues, as its worker sees it.
struct FUSERingQueue {
    let number: UInt32
    /// So many entries it is to have beside those whose requests wait.
    let wanted: Int
    /// Registered, and not lost.
    var count = 0
    /// With the kernel.
    var available = 0
    /// Their requests may wait for ever.
    var waiting = 0
    /// Entries given back; wraps.
    var returned: UInt64 = 0
    /// The same, when it was last looked at.
    var returnedBefore: UInt64 = 0
    /// The kernel had no entry for a while: requests may have queued up there.
    var mayHaveBacklog = false
    /// Counted as available, and not submitted yet.
    var unsent = 0
    /// Entries given back since the last submit; with it; and those with a request since.
    var unsentCommits = 0
    var sentCommits = 0
    var arrivals = 0
}

/// The entries of one worker. On its thread only.
struct FUSERingEntries {
    let memory: FUSERingMemory
    let control: FUSERingControl
    /// Numbers of slots begin here.
    let firstSlot: Int
    let entryMaximum: Int
    let entries: UnsafeMutablePointer<FUSERingEntry>
    let queues: UnsafeMutableBufferPointer<FUSERingQueue>
    /// Slots that take the place of abandoned ones.
    let replacements: UnsafeMutablePointer<Int32>
    var replacementCount: Int
    /// The first that was never registered.
    var firstUnused = 0
    /// Before it, those that the kernel let go of with the process that had registered them.
    var reusable: [Int] = []
    /// Of those, the ones of which the kernel has some, and it is not known which.
    var unlocated: Set<Int> = []
    var waitingCount = 0
    var lockWaitCount = 0
    /// So many of a worker's may be held by requests that wait, and by waiting locks alone.
    let waitingMaximum: Int
    let lockWaitMaximum: Int
    /// Completed while the worker was starting.
    var early: [Int] = []
    /// The slots of requests that another process had in hand.
    var adopted: [Int] = []
    var isTimerArmed = false
    /// The node of the last data request; 0 before the first.
    var lastFile: UInt64 = 0
    /// Entries given back since the last submit.
    let unsent: UnsafeMutablePointer<Int32>
    var unsentCount = 0
    /// The numbers of requests of the worker's own.
    var lastNudge = firstNudge
    static let firstNudge: UInt64 = 1 << 63
    let timeout: UnsafeMutablePointer<covol_timeout>
    var isDeviceRegistered = false
    /// The slots from the first on whose buffers are registered.
    var registeredBuffers = 0
    /// The connection is over: the kernel takes no answer any more.
    var isOver = false

    init(plan: FUSERingPlan, memory: FUSERingMemory, firstSlot: Int, replacementCount: Int) {
        self.memory = memory
        control = memory.control
        self.firstSlot = firstSlot
        self.replacementCount = replacementCount
        entryMaximum = memory.state.entryMaximum
        waitingMaximum = plan.reserve * 3 / 4
        lockWaitMaximum = plan.reserve / 2
        entries = .allocate(capacity: entryMaximum)
        for number in 0..<entryMaximum {
            (entries + number).initialize(to: FUSERingEntry(slot: Int32(firstSlot + number)))
        }
        queues = .allocate(capacity: plan.queues.count)
        for (position, queue) in plan.queues.enumerated() {
            queues.initializeElement(
                at: position, to: FUSERingQueue(number: queue.number, wanted: queue.entries))
        }
        unsent = .allocate(capacity: entryMaximum)
        replacements = .allocate(capacity: replacementCount)
        for number in 0..<replacementCount {
            replacements[number] = Int32(firstSlot + entryMaximum + number)
        }
        timeout = .allocate(capacity: 1)
        timeout.initialize(
            to: covol_timeout(
                seconds: 0, nanoseconds: FUSELimits.starvationMilliseconds * 1_000_000))
    }

    /// The entries that the queues have without those for requests that wait.
    var wantedCount: Int { queues.reduce(0) { $0 + $1.wanted } }

    func deallocate() {
        entries.deallocate()
        queues.deallocate()
        unsent.deallocate()
        replacements.deallocate()
        timeout.deallocate()
    }
}
