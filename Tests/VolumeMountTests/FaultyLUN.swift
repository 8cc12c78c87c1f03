import FUSE
import Glibc
import Synchronization
import VolumeModel

/// A LUN that fails on command: a FUSE file server with one file, `lun`, over an image.
///
/// Sound to share: `state` has its lock; the rest is constant.
final class FaultyLUN: FUSEHandler, Sendable {
    enum Fault: Hashable, Sendable {
        case ok
        case fail(ErrorCode)
        /// Held until ``release(landing:)``.
        case hang
        /// A write fails at once, and lands nevertheless, with ``landLate()``: unless the path is fenced
        /// first.
        case late
    }

    struct State {
        var reads = Fault.ok
        var writes = Fault.ok
        var flushes = Fault.ok
        var readCount = 0
        var writeCount = 0
        var flushCount = 0
        var held: [Held] = []
        var heldFlushes: [FUSEReplyPort] = []
        /// Preempted and aborted: nothing gets in until the path has a new key.
        var isFenced = false
        var late: [(bytes: [UInt8], offsetBytes: UInt64)] = []
        var hasEnded = false
    }

    struct Held: Sendable {
        var slot: FUSESlot
        var offsetBytes: UInt64
        var lengthBytes: Int
        var isWrite: Bool
    }

    static let sizeBytes: UInt64 = 64 << 20
    let image: Int32
    let state = Mutex(State())

    init(image: Int32) { self.image = image }

    func setAll(_ fault: Fault) {
        state.withLock { state in
            state.reads = fault
            state.writes = fault
            state.flushes = fault
        }
    }

    /// Ends what is held: it is done, late; or fails, and never lands.
    func release(landing: Bool, error: ErrorCode = .inputOutput) {
        let (held, flushes) = state.withLock { state in
            defer {
                state.held = []
                state.heldFlushes = []
            }
            return (state.held, state.heldFlushes)
        }
        for one in held { if landing { perform(one) } else { one.slot.replyError(error) } }
        for flush in flushes { if landing { flush.ok() } else { flush.error(error) } }
    }

    func landLate() {
        state.withLock { state in
            for write in state.late {
                pwrite(image, write.bytes, write.bytes.count, off_t(write.offsetBytes))
            }
            state.late = []
        }
    }

    /// What PREEMPT AND ABORT does: held I/O ends, and nothing of it lands.
    func fence() {
        state.withLock { state in
            state.isFenced = true
            state.late = []
        }
        release(landing: false, error: .reservationConflict)
    }

    func unfence() { state.withLock { $0.isFenced = false } }

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        let held = Held(
            slot: slot, offsetBytes: request.offsetBytes, lengthBytes: Int(request.sizeBytes),
            isWrite: false)
        let fault: Fault = state.withLock { state in
            state.readCount += 1
            if state.isFenced { return .fail(.reservationConflict) }
            if state.reads == .hang { state.held.append(held) }
            return state.reads
        }
        meet(fault, held)
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        let held = Held(
            slot: slot, offsetBytes: request.offsetBytes, lengthBytes: Int(request.sizeBytes),
            isWrite: true)
        let fault: Fault = state.withLock { state in
            state.writeCount += 1
            if state.isFenced { return .fail(.reservationConflict) }
            switch state.writes {
            case .hang: state.held.append(held)
            case .late:
                state.late.append(
                    (Array(slot.buffer[..<held.lengthBytes]), request.offsetBytes))
            case .ok:
                // Under the lock: what lands after a fence is nobody's doing.
                pwrite(
                    image, slot.buffer.baseAddress!, held.lengthBytes, off_t(held.offsetBytes))
            case .fail: break
            }
            return state.writes
        }
        meet(fault, held)
    }

    private func meet(_ fault: Fault, _ held: Held) {
        switch fault {
        case .ok: perform(held)
        case .fail(let error): held.slot.replyError(error)
        case .late: held.slot.replyError(.inputOutput)
        case .hang: break
        }
    }

    private func perform(_ held: Held) {
        let (memory, offset) = (held.slot.buffer.baseAddress!, off_t(held.offsetBytes))
        if held.isWrite {
            let count = pwrite(image, memory, held.lengthBytes, offset)
            held.slot.replyWritten(UInt32(count))
        } else {
            let count = pread(image, memory, held.lengthBytes, offset)
            held.slot.replyRead(bufferOffset: 0, length: count)
        }
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {}

    func resumed(slot: FUSESlot, tag: UInt64) {}

    func ended(_ reason: FUSEEndReason) {
        state.withLock { $0.hasEnded = true }
        release(landing: false)
    }

    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        let file = Self.attributes(2, mode: 0o100600, size: Self.sizeBytes)
        switch request {
        case .lookup(let name):
            guard name == Array("lun".utf8) else {
                reply.error(.noEntry)
                return
            }
            reply.entry(FUSEEntry(nodeID: 2, attributes: file))
        case .getattr:
            reply.attributes(
                context.nodeID == 1 ? Self.attributes(1, mode: 0o040755, size: 0) : file)
        case .open, .opendir:
            reply.opened(
                handle: 1,
                openFlags: FUSEOpenReplyFlags.directIO | FUSEOpenReplyFlags.parallelDirectWrites
                    | FUSEOpenReplyFlags.noFlush)
        case .fsync:
            let fault: Fault = state.withLock { state in
                state.flushCount += 1
                if state.isFenced { return .fail(.reservationConflict) }
                if state.flushes == .hang { state.heldFlushes.append(reply) }
                return state.flushes
            }
            switch fault {
            case .ok: reply.ok()
            case .fail(let error): reply.error(error)
            case .late: reply.error(.inputOutput)
            case .hang: break
            }
        case .forget, .batchForget, .interrupt:
            reply.none()
        case .release, .releasedir, .flush, .destroy, .access:
            reply.ok()
        default:
            reply.error(.notImplemented)
        }
    }

    static func attributes(_ inode: UInt64, mode: UInt32, size: UInt64) -> FileAttributes {
        let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)
        return FileAttributes(
            inode: inode, sizeBytes: size, blocks512: size / 512, accessTime: time,
            modificationTime: time, changeTime: time, mode: mode, linkCount: 1, userID: 0,
            groupID: 0, deviceMajor: 0, deviceMinor: 0, blockSizeBytes: 4096)
    }
}
