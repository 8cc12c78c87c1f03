import CLinux
import Glibc
import IORing
import Synchronization
import VolumeModel

/// The part of a worker that does not depend on its handler: ring, slots, mailbox.
///
/// Sound to share: `ring`, `slots` and `counts` are touched on the worker's thread only (but for the
/// slot that someone is answering, see ``FUSESlotState``); `mailbox` has its lock; the rest is constant.
final class FUSEWorkerCore: @unchecked Sendable {
    enum Message {
        case resume(slot: Int32, tag: UInt64)
        case release(slot: Int32)
        /// A ring entry has its answer.
        case commit(slot: Int32)
        /// Someone waits until the answers before this have reached the kernel.
        case settle(FUSESettling)
        /// Another worker stopped taking requests.
        case lookAtDevice
        /// An INTERRUPT on its way past every worker: `hops` more to go.
        case interrupt(port: FUSEReplyPort, context: FUSEContext, target: UInt64, hops: Int)
    }

    /// What a completion is of: the low byte of its user data. Above it the slot (24 bits) and the
    /// segment (32 bits).
    enum Source: UInt64 {
        case device = 1
        case mailbox = 2
        case segment = 3
        /// The device broke while no request could be taken.
        case broken = 4
        case cancel = 5
        /// A ring entry; its number takes the place of the slot's.
        case entry = 6
        case starved = 7
        /// A ring entry that was found by its request; the queue's position takes the place of the slot's.
        case lost = 8
    }

    struct Counts {
        var freeCount = 0
        var heldCount = 0
        var replacementCount = 0
        var operationsInFlight = 0
    }

    /// What a read of the device says after an abort: ECONNABORTED.
    static let connectionAborted = ErrorCode(103)
    /// ECANCELED
    static let cancelled = ErrorCode(125)

    /// Its place among the mount's workers, from 0 on.
    let number: Int
    let channel: FUSEChannel
    /// The channel's, without counting references.
    let descriptor: Int32
    /// This worker has seen the connection's end.
    let hasEnded = Atomic(false)
    /// When this worker last said that it is loaded (``FUSEPlacement``): milliseconds of the coarse
    /// monotonic clock.
    let loadedMilliseconds = Atomic<UInt64>(0)
    let ring: IORing
    let slotCount: Int
    private let allSlots: Int
    /// `slotCount` slots, then the spare one that requests are read into when none is free, then
    /// `slotCount` that replace abandoned ones. Which numbers are free, held, abandoned or
    /// replacements changes with time; how many are free or held does not. Behind them those of the
    /// ring entries, and as many replacements.
    let slots: UnsafeMutablePointer<FUSESlotState>
    let counts: UnsafeMutablePointer<Counts>
    /// Nil where all requests come through the device.
    let uring: UnsafeMutablePointer<FUSERingEntries>?
    private let freeSlots: UnsafeMutablePointer<Int32>
    private let replacements: UnsafeMutablePointer<Int32>
    private let memory: UnsafeMutableRawPointer
    private let thread: pthread_t
    private let event: Int32
    private let eventValue: UnsafeMutablePointer<UInt64>
    private let mailbox = Mutex<[Message]>([])

    /// On the thread that will run it: the ring takes submissions of no other. With a `plan`, the
    /// slots are for what still comes through the device, and the ring entries have their own.
    /// - Parameter adopted: the memory of another process's entries, instead of one's own.
    init(
        number: Int, channel: FUSEChannel, slotCount: Int, plan: FUSERingPlan?,
        adopted: FUSERingMemory? = nil
    ) throws(ErrorCode) {
        let ring = try IORing(
            entries: plan == nil ? 512 : 1024, completions: 4096, wideEntries: plan != nil)
        let deviceSlots = Self.slotMaximum(slotCount)
        let replacementCount = adopted?.state.entryMaximum ?? plan?.entryMaximum ?? 0
        let ringSlots = 2 * replacementCount
        var ringMemory = adopted
        if ringMemory == nil, plan != nil {
            ringMemory = try FUSERingMemory(entryMaximum: replacementCount)
        }
        let event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard event >= 0 else { throw ErrorCode(errno) }
        guard let memory = covol_fuse_map(Self.slotMaximum(slotCount) * FUSELimits.slotMemoryBytes)
        else {
            close(event)
            throw .noMemory
        }
        self.number = number
        self.channel = channel
        descriptor = channel.descriptor
        self.ring = ring
        self.event = event
        self.memory = memory
        self.slotCount = slotCount
        thread = pthread_self()
        allSlots = deviceSlots + ringSlots
        slots = .allocate(capacity: allSlots)
        freeSlots = .allocate(capacity: slotCount)
        replacements = .allocate(capacity: slotCount)
        for index in 0..<allSlots {
            let segments = UnsafeMutablePointer<FUSESegmentState>.allocate(capacity: 1)
            let place =
                index < deviceSlots
                ? memory + index * FUSELimits.slotMemoryBytes
                : ringMemory!.slot(index - deviceSlots)
            (slots + index).initialize(to: FUSESlotState(memory: place, segments: segments))
        }
        if let plan, let ringMemory {
            let uring = UnsafeMutablePointer<FUSERingEntries>.allocate(capacity: 1)
            uring.initialize(
                to: FUSERingEntries(
                    plan: plan, memory: ringMemory, firstSlot: deviceSlots,
                    replacementCount: replacementCount))
            self.uring = uring
            for number in 0..<replacementCount {
                slots[deviceSlots + number].entry = Int32(number)
            }
        } else {
            uring = nil
        }
        // The last freed is the next used: its memory is the warmest.
        for index in 0..<slotCount {
            freeSlots[index] = Int32(slotCount - 1 - index)
            replacements[index] = Int32(2 * slotCount - index)
        }
        counts = .allocate(capacity: 1)
        counts.initialize(to: Counts(freeCount: slotCount, replacementCount: slotCount))
        eventValue = .allocate(capacity: 1)
        eventValue.initialize(to: 0)
        mailbox.withLock { $0.reserveCapacity(2 * slotCount) }
    }

    deinit {
        for index in 0..<allSlots { slots[index].segments.deallocate() }
        slots.deallocate()
        if let uring {
            uring.pointee.deallocate()
            uring.deinitialize(count: 1)
            uring.deallocate()
        }
        freeSlots.deallocate()
        replacements.deallocate()
        counts.deallocate()
        eventValue.deallocate()
        covol_fuse_unmap(memory, Self.slotMaximum(slotCount) * FUSELimits.slotMemoryBytes)
        close(event)
    }

    /// That of the ring entries.
    var ringMemory: FUSERingMemory? { uring?.pointee.memory }

    private static func slotMaximum(_ slotCount: Int) -> Int { 2 * slotCount + 1 }

    var isOnThread: Bool { pthread_equal(pthread_self(), thread) != 0 }

    func buffer(_ index: Int) -> UnsafeMutableRawPointer {
        slots[index].memory + FUSELimits.pageSizeBytes
    }

    // MARK: Slots, on the worker's thread

    /// The slot that the next request is read into: the spare one where none is free.
    var nextSlot: Int {
        counts.pointee.freeCount > 0 ? Int(freeSlots[counts.pointee.freeCount - 1]) : slotCount
    }

    /// Takes ``nextSlot``, or the slot of the ring entry that brought it, for a data request.
    func hold(_ index: Int, unique: UInt64) {
        if let uring, slots[index].entry >= 0 {
            uring.pointee.lastFile = slots[index].nodeID
            uring.pointee.control.lastFile = slots[index].nodeID
            slots[index].use = .data
            counts.pointee.heldCount += 1
            return
        }
        assert(index == nextSlot && index != slotCount, "only a free slot is taken")
        counts.pointee.freeCount -= 1
        if counts.pointee.freeCount == 0 {
            channel.connection.workersWithRoom.subtract(1, ordering: .sequentiallyConsistent)
        }
        counts.pointee.heldCount += 1
        slots[index].unique = unique
        slots[index].isHeld = true
    }

    func release(_ index: Int) {
        if counts.pointee.freeCount == 0 {
            channel.connection.workersWithRoom.add(1, ordering: .sequentiallyConsistent)
        }
        freeSlots[counts.pointee.freeCount] = Int32(index)
        counts.pointee.freeCount += 1
        counts.pointee.heldCount -= 1
    }

    /// Moves a request to another slot, whose buffer it may use at once; the LUN I/O of the old one
    /// goes on, and ends in the handler's `abandoned`. Nil: so many are abandoned already that none
    /// is left to replace this one.
    func abandon(_ index: Int) -> Int? {
        precondition(isOnThread, "LUN I/O is abandoned on the worker's thread")
        precondition(slots[index].isHeld, "a FUSE slot was abandoned after its answer")
        precondition(slots[index].outstanding > 0, "a FUSE slot was abandoned without any I/O")
        if slots[index].entry >= 0 { return abandonInEntry(index) }
        guard counts.pointee.replacementCount > 0 else { return nil }
        counts.pointee.replacementCount -= 1
        let replacement = Int(replacements[counts.pointee.replacementCount])
        slots[replacement].unique = slots[index].unique
        slots[replacement].isHeld = true
        slots[index].isHeld = false
        slots[index].isAbandoned = true
        return replacement
    }

    /// An abandoned slot's I/O has ended: it may replace another.
    func endAbandoned(_ index: Int) {
        slots[index].isAbandoned = false
        if let uring, index >= uring.pointee.firstSlot {
            uring.pointee.replacements[uring.pointee.replacementCount] = Int32(index)
            uring.pointee.replacementCount += 1
            return
        }
        replacements[counts.pointee.replacementCount] = Int32(index)
        counts.pointee.replacementCount += 1
    }

    /// Lets a request go on elsewhere, and its slot be used for others: for it or for another entry.
    func detach(_ index: Int) -> FUSEDetachedRequest {
        precondition(isOnThread, "a request is detached on the worker's thread")
        precondition(slots[index].isHeld, "a FUSE slot was detached after its answer")
        precondition(slots[index].outstanding == 0, "a FUSE slot was detached during its I/O")
        let unique = slots[index].unique
        if slots[index].entry >= 0 {
            counts.pointee.heldCount -= 1
            wait(index, use: .waiting)
            return FUSEDetachedRequest(route: .entry(self, slot: index), unique: unique)
        }
        slots[index].isHeld = false
        release(index)
        return FUSEDetachedRequest(route: .device(channel), unique: unique)
    }

    /// The way back of the request that lies in a slot.
    func route(_ index: Int) -> FUSEAnswerRoute {
        slots[index].entry >= 0 ? .entry(self, slot: index) : .device(channel)
    }

    // MARK: Answers, on any thread

    func reply(_ index: Int, error: Int32, data: UnsafeRawPointer?, lengthBytes: Int) -> Bool {
        precondition(slots[index].isHeld, "a FUSE slot was answered twice")
        precondition(slots[index].outstanding == 0, "a FUSE slot was answered during its I/O")
        let unique = slots[index].unique
        if slots[index].entry >= 0 {
            return answerEntry(
                index, unique: unique, error: error, data: data, lengthBytes: lengthBytes)
        }
        slots[index].isHeld = false
        let taken = channel.reply(
            unique: unique, error: error, data: data, lengthBytes: lengthBytes)
        if isOnThread { release(index) } else { post(.release(slot: Int32(index))) }
        return taken
    }

    func post(_ message: Message) {
        let wasEmpty = mailbox.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        // The counter cannot overflow: it is written once per emptying of the mailbox.
        if wasEmpty { eventfd_write(event, 1) }
    }

    /// On the worker's thread: exchanges the mailbox's content with `messages`, which is empty.
    func takeMessages(_ messages: inout [Message]) {
        mailbox.withLock { swap(&$0, &messages) }
    }

    // MARK: Ring, on the worker's thread

    func watchDevice() {
        ring.queuePollReadable(
            descriptor: channel.descriptor, exclusive: true, userData: Source.device.rawValue)
    }

    /// While no request can be taken, only the end of the connection is of interest.
    func watchForEnd() {
        ring.queuePollBroken(descriptor: channel.descriptor, userData: Source.broken.rawValue)
    }

    func stopWatchingForEnd() {
        ring.queueCancel(target: Source.broken.rawValue, userData: Source.cancel.rawValue)
    }

    func watchMailbox() {
        ring.queueRead(
            descriptor: event, into: eventValue, lengthBytes: 8, offsetBytes: 0,
            userData: Source.mailbox.rawValue)
    }
}
