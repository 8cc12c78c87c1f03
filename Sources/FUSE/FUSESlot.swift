import VolumeModel

/// A data request under way, and its buffer: a number and its worker.
///
/// The reference to the worker is not counted. That is sound from `received` to the answer: until
/// then the worker's thread holds the worker. Drop every copy with the answer.
public struct FUSESlot: Sendable {
    private let reference: Unmanaged<FUSEWorkerCore>
    /// The slot's number within its worker.
    public let index: Int

    init(core: FUSEWorkerCore, index: Int) {
        reference = .passUnretained(core)
        self.index = index
    }

    /// Counted while the caller has it: what each request does goes by `onCore` instead.
    var core: FUSEWorkerCore { reference.takeUnretainedValue() }

    private func onCore<Result>(_ body: (FUSEWorkerCore) -> Result) -> Result {
        reference._withUnsafeGuaranteedRef(body)
    }

    /// The worker's number within its mount, from 0 on.
    public var worker: Int { onCore { $0.number } }

    /// Page-aligned: the largest payload and two blocks. A write's data start at its beginning.
    /// For the worker's thread, or for whoever is about to answer; not while LUN I/O is under way.
    public var buffer: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: onCore { $0.buffer(index) }, count: FUSELimits.slotBufferBytes)
    }

    // MARK: LUN I/O, on the worker's thread; ends in the handler's `completed`

    /// Reads one segment; allocates nothing.
    public func submit(read segment: FUSELUNSegment, tag: UInt64) {
        onCore { core in
            core.begin(index, count: 1, tag: tag)
            core.start(index, number: 0, segment: segment, operation: .read)
        }
    }

    /// Writes one segment; allocates nothing. `dsync`: durable when it completes (`RWF_DSYNC`).
    public func submit(write segment: FUSELUNSegment, dsync: Bool, tag: UInt64) {
        onCore { core in
            core.begin(index, count: 1, tag: tag)
            core.start(
                index, number: 0, segment: segment, operation: dsync ? .writeDSync : .write)
        }
    }

    /// Reads so many segments, which `next` gives one after another. Allocates nothing where the slot has
    /// had several before.
    public func submit(reads count: Int, tag: UInt64, next: () -> FUSELUNSegment) {
        submit(count, operation: .read, tag: tag, next)
    }

    /// Writes so many segments; otherwise as ``submit(reads:tag:next:)``.
    public func submit(writes count: Int, dsync: Bool, tag: UInt64, next: () -> FUSELUNSegment) {
        submit(count, operation: dsync ? .writeDSync : .write, tag: tag, next)
    }

    /// fdatasync(2) of a path to the LUN. The result is one segment of 0 bytes, or its error.
    public func submitFlush(descriptor: Int32, tag: UInt64) {
        core.begin(index, count: 1, tag: tag)
        core.startFlush(index, descriptor: descriptor)
    }

    private func submit(
        _ count: Int, operation: FUSESegmentOperation, tag: UInt64, _ next: () -> FUSELUNSegment
    ) {
        onCore { core in
            core.begin(index, count: count, tag: tag)
            for number in 0..<count {
                core.start(index, number: number, segment: next(), operation: operation)
            }
        }
    }

    /// LUN I/O of this slot is under way.
    public var isBusy: Bool { core.slots[index].outstanding > 0 }

    /// On the worker's thread, while LUN I/O is under way that may take for ever: moves the request to
    /// another slot, with an empty buffer of its own. Use that one from then on; this one's buffer
    /// stays the kernel's until the handler's `abandoned`. Nil where every slot's replacement is taken
    /// already, which cannot be before as many slots as a worker has, with its entries in reserve on
    /// io_uring, were abandoned.
    public func abandonIO() -> FUSESlot? {
        core.abandon(index).map { FUSESlot(core: core, index: $0) }
    }

    /// On the worker's thread, while no LUN I/O is under way: frees the slot, and lets the request go on
    /// without one. For what may wait for long. On io_uring the kernel gives the slot's entry up only
    /// with the answer: another one takes its place, as long as there are any.
    public func detach() -> FUSEDetachedRequest {
        core.detach(index)
    }

    // MARK: Answers, from any thread, exactly one; false where the request is gone

    /// The bytes are those of the buffer. Fewer than asked for: the file ends there.
    @discardableResult public func replyRead(bufferOffset: Int, length: Int) -> Bool {
        precondition(
            bufferOffset >= 0 && length >= 0 && bufferOffset <= FUSELimits.slotBufferBytes
                && length <= FUSELimits.slotBufferBytes - bufferOffset,
            "an answer leaves the slot's buffer")
        let bytes = onCore { $0.buffer(index) + bufferOffset }
        return answer(error: 0, data: bytes, lengthBytes: length)
    }

    @discardableResult public func replyWritten(_ bytes: UInt32) -> Bool {
        // `struct fuse_write_out`: the count, and four bytes of padding.
        var output = UInt64(bytes).littleEndian
        return withUnsafeBytes(of: &output) {
            answer(error: 0, data: $0.baseAddress, lengthBytes: $0.count)
        }
    }

    @discardableResult public func replyError(_ code: ErrorCode) -> Bool {
        answer(error: -code.number, data: nil, lengthBytes: 0)
    }

    /// Has the worker call the handler's `resumed` on its thread. From any thread.
    public func perform(tag: UInt64) {
        let core = self.core
        core.post(.resume(slot: Int32(index), tag: tag))
    }

    private func answer(error: Int32, data: UnsafeRawPointer?, lengthBytes: Int) -> Bool {
        // The worker's thread holds the worker itself.
        let own = onCore { core -> Bool? in
            guard core.isOnThread else { return nil }
            return core.reply(index, error: error, data: data, lengthBytes: lengthBytes)
        }
        if let own { return own }
        // Held until the answer is through: with it the worker's thread may let go.
        let core = self.core
        return withExtendedLifetime(core) {
            core.reply(index, error: error, data: data, lengthBytes: lengthBytes)
        }
    }
}
