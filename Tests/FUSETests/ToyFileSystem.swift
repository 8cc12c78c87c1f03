import FUSE
import Glibc
import Synchronization
import VolumeModel

/// A file system for tests: one directory, a few files. File `k`'s 64 KiB chunk `j` lies at chunk
/// `j * filesMaximum + k` of the backing image, so larger I/O is of several segments. Whole blocks go
/// through the slots; the rest goes over a thread of its own, like redirected I/O.
///
/// Sound to share: `state` has its lock; the rest is constant.
final class ToyFileSystem: FUSEHandler, @unchecked Sendable {
    static let chunkBytes: UInt64 = 64 << 10
    static let filesMaximum: UInt64 = 8
    static let fileMaximumBytes: UInt64 = 16 << 20
    static let redirectedTag: UInt64 = 77

    struct File {
        var attributes: FileAttributes
        var xattrs: [[UInt8]: [UInt8]] = [:]
        var target: [UInt8] = []
        var locks: [FUSELock] = []
    }

    struct State {
        var names: [[UInt8]: UInt64] = [:]
        var files: [UInt64: File] = [:]
        var requests: [String: Int] = [:]
        var waitingLocks: [UInt64: (node: UInt64, lock: FUSELock, port: FUSEReplyPort)] = [:]
        var holdsData = false
        /// A node whose data requests get no answer; 0 is none.
        var holdsNode: UInt64 = 0
        var heldSlots: [FUSESlot] = []
        var endings: [FUSEEndReason] = []
        var submits = 0
        var segments = 0
        var resumed = 0
        var directoryCalls: [Bool] = []
    }

    let directDescriptor: Int32
    let bufferedDescriptor: Int32
    let flusher: LUNFlusher
    let state: Mutex<State>

    init(image: String) {
        directDescriptor = open(image, O_RDWR | openDirect | O_CLOEXEC)
        bufferedDescriptor = open(image, O_RDWR | O_CLOEXEC)
        precondition(directDescriptor >= 0 && bufferedDescriptor >= 0, "no image")
        flusher = LUNFlusher(descriptor: bufferedDescriptor)
        var state = State()
        state.files[1] = File(attributes: Self.attributes(1, mode: 0o040755, size: 0))
        self.state = Mutex(state)
    }

    deinit {
        close(directDescriptor)
        close(bufferedDescriptor)
    }

    static func attributes(_ inode: UInt64, mode: UInt32, size: UInt64) -> FileAttributes {
        let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789)
        return FileAttributes(
            inode: inode, sizeBytes: size, blocks512: size / 512, accessTime: time,
            modificationTime: time, changeTime: time, mode: mode, linkCount: 1, userID: 0,
            groupID: 0, deviceMajor: 0, deviceMinor: 0, blockSizeBytes: 4096)
    }

    func count(_ request: String) -> Int { state.withLock { $0.requests[request] ?? 0 } }

    // MARK: Data

    /// Where a byte range that lies in whole blocks is on the image.
    func segments(node: UInt64, offset: UInt64, length: Int) -> [FUSELUNSegment] {
        var segments: [FUSELUNSegment] = []
        var done = 0
        while done < length {
            let position = offset + UInt64(done)
            let within = position % Self.chunkBytes
            let chunk = position / Self.chunkBytes * Self.filesMaximum + node % Self.filesMaximum
            let part = min(length - done, Int(Self.chunkBytes - within))
            segments.append(
                FUSELUNSegment(
                    descriptor: directDescriptor,
                    lunOffsetBytes: chunk * Self.chunkBytes + within, bufferOffsetBytes: done,
                    lengthBytes: part))
            done += part
        }
        return segments
    }

    /// What `completed` has to know; in the tag, so that nothing is kept per request.
    private static func tag(_ front: UInt64, _ length: Int) -> UInt64 {
        1 << 63 | front << 32 | UInt64(length)
    }

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        if hold(slot, context.nodeID) { return }
        let size = state.withLock { $0.files[context.nodeID]?.attributes.sizeBytes ?? 0 }
        guard request.offsetBytes < size else {
            slot.replyRead(bufferOffset: 0, length: 0)
            return
        }
        let length = Int(min(UInt64(request.sizeBytes), size - request.offsetBytes))
        let range = ByteRange(offset: request.offsetBytes, length: UInt64(length))
            .wholeBlocks(4096)
        let front = request.offsetBytes - range.startBytes
        let parts = segments(
            node: context.nodeID, offset: range.startBytes, length: Int(range.lengthBytes))
        note(parts.count)
        if parts.count == 1 {
            slot.submit(read: parts[0], tag: Self.tag(front, length))
        } else {
            var rest = parts[...]
            slot.submit(reads: parts.count, tag: Self.tag(front, length)) { rest.removeFirst() }
        }
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        if hold(slot, context.nodeID) { return }
        precondition(UInt(bitPattern: slot.buffer.baseAddress!) % 4096 == 0, "payload is unaligned")
        let end = request.offsetBytes + UInt64(request.sizeBytes)
        guard end <= Self.fileMaximumBytes else {
            slot.replyError(.fileTooLarge)
            return
        }
        state.withLock {
            let size = $0.files[context.nodeID]?.attributes.sizeBytes ?? 0
            $0.files[context.nodeID]?.attributes.sizeBytes = max(size, end)
        }
        let length = Int(request.sizeBytes)
        let parts = segments(node: context.nodeID, offset: request.offsetBytes, length: length)
        let range = ByteRange(offset: request.offsetBytes, length: UInt64(length))
        guard range.isWholeBlocks(4096) else { return redirect(parts, slot) }
        note(parts.count)
        let dsync = request.flags & UInt32(O_DSYNC) != 0
        if parts.count == 1 {
            slot.submit(write: parts[0], dsync: dsync, tag: UInt64(length))
        } else {
            var rest = parts[...]
            slot.submit(writes: parts.count, dsync: dsync, tag: UInt64(length)) {
                rest.removeFirst()
            }
        }
    }

    /// Part of a block: written by another thread, which then comes back through the worker.
    private func redirect(_ parts: [FUSELUNSegment], _ slot: FUSESlot) {
        let descriptor = bufferedDescriptor
        TestThread.start {
            for part in parts {
                let count = pwrite(
                    descriptor, slot.buffer.baseAddress! + part.bufferOffsetBytes,
                    part.lengthBytes, off_t(part.lunOffsetBytes))
                precondition(count == part.lengthBytes, "image write failed")
            }
            let length = parts.reduce(0) { $0 + $1.lengthBytes }
            // Half are answered from here, half on the worker's thread.
            if length % 2 == 0 {
                slot.replyWritten(UInt32(length))
            } else {
                slot.perform(tag: Self.redirectedTag << 32 | UInt64(length))
            }
        }
    }

    func resumed(slot: FUSESlot, tag: UInt64) {
        precondition(tag >> 32 == Self.redirectedTag, "an unknown tag")
        state.withLock { $0.resumed += 1 }
        slot.replyWritten(UInt32(truncatingIfNeeded: tag))
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {
        if let error = results.error {
            slot.replyError(error)
        } else if !results.isComplete {
            slot.replyError(.inputOutput)
        } else if tag >> 63 == 1 {
            slot.replyRead(
                bufferOffset: Int(tag >> 32 & 0xffff), length: Int(tag & 0xffff_ffff))
        } else {
            slot.replyWritten(UInt32(tag))
        }
    }

    func ended(_ reason: FUSEEndReason) {
        let slots = state.withLock { state in
            state.endings.append(reason)
            defer { state.heldSlots = [] }
            return state.heldSlots
        }
        for slot in slots { slot.replyError(.notConnected) }
    }

    /// While ``State/holdsData`` is set, or the node is held, keeps data requests without an answer.
    private func hold(_ slot: FUSESlot, _ node: UInt64) -> Bool {
        state.withLock { state in
            let holds = state.holdsData || state.holdsNode == node
            if holds { state.heldSlots.append(slot) }
            return holds
        }
    }

    private func note(_ segments: Int) {
        state.withLock {
            $0.submits += 1
            $0.segments += segments
        }
    }
}
