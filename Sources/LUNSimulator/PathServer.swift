import FUSE
import Glibc
import VolumeModel

/// One path's FUSE connection: a single regular file, the LUN.
///
/// Reads and writes go straight between the slots' buffers and the image.
final class PathServer: FUSEHandler {
    private let lun: SimulatedLUN
    private let path: Int

    init(lun: SimulatedLUN, path: Int) {
        self.lun = lun
        self.path = path
    }

    // MARK: Data

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        guard request.offsetBytes < lun.sizeBytes else {
            slot.replyRead(bufferOffset: 0, length: 0)
            return
        }
        let length = min(UInt64(request.sizeBytes), lun.sizeBytes - request.offsetBytes)
        guard length > 0 else {
            slot.replyRead(bufferOffset: 0, length: 0)
            return
        }
        take(.read, offset: request.offsetBytes, length: length, slot)
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        let length = UInt64(request.sizeBytes)
        guard length > 0 else {
            slot.replyWritten(0)
            return
        }
        guard request.offsetBytes <= lun.sizeBytes, length <= lun.sizeBytes - request.offsetBytes
        else {
            slot.replyError(.noSpace)
            return
        }
        let isDurable = request.flags & UInt32(O_DSYNC) != 0
        take(isDurable ? .durableWrite : .write, offset: request.offsetBytes, length: length, slot)
    }

    private func take(
        _ kind: LUNModel<LUNClient>.Kind, offset: UInt64, length: UInt64, _ slot: FUSESlot
    ) {
        let (verdict, operation) = lun.model.withLock {
            $0.begin(
                kind, path: path, offsetBytes: offset, lengthBytes: length, client: .slot(slot),
                nanoseconds: SimulatedLUN.nowNanoseconds)
        }
        follow(verdict, operation, kind, offset: offset, length: length, slot)
    }

    func resumed(slot: FUSESlot, tag: UInt64) {
        let (operation, verdict) = lun.model.withLock { model in
            (model.operation(tag), model.resume(tag))
        }
        guard let operation else { preconditionFailure("no operation \(tag)") }
        follow(
            verdict, tag, operation.kind, offset: operation.offsetBytes,
            length: operation.lengthBytes, slot)
    }

    private func follow(
        _ verdict: LUNModel<LUNClient>.Verdict, _ operation: UInt64,
        _ kind: LUNModel<LUNClient>.Kind, offset: UInt64, length: UInt64, _ slot: FUSESlot
    ) {
        switch verdict {
        case .hold: break
        case .delay(let milliseconds):
            lun.later(milliseconds: milliseconds, operation, .slot(slot))
        case .fail(let error): slot.replyError(error)
        case .start:
            let segment = FUSELUNSegment(
                descriptor: lun.image, lunOffsetBytes: offset, bufferOffsetBytes: 0,
                lengthBytes: Int(length))
            if kind == .read {
                slot.submit(read: segment, tag: operation)
            } else {
                slot.submit(write: segment, dsync: kind == .durableWrite, tag: operation)
            }
        }
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {
        let error = results.error ?? (results.isComplete ? nil : .inputOutput)
        let operation = lun.model.withLock { model in
            let operation = model.operation(tag)
            model.finish(tag, error: error, nanoseconds: SimulatedLUN.nowNanoseconds)
            return operation
        }
        guard let operation else { preconditionFailure("no operation \(tag)") }
        if let error {
            slot.replyError(error)
        } else if operation.kind == .read {
            slot.replyRead(bufferOffset: 0, length: Int(operation.lengthBytes))
        } else {
            slot.replyWritten(UInt32(operation.lengthBytes))
        }
    }

    func ended(_ reason: FUSEEndReason) { lun.connectionEnded(path: path, reason: reason) }

    // MARK: The rest

    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        switch request {
        case .forget, .batchForget, .interrupt: reply.none()
        case .getattr: reply.attributes(attributes, timeoutSeconds: Self.timeoutSeconds)
        case .statx:
            reply.statx(
                FUSEStatx(
                    attributes: attributes, birthTime: nil, timeoutSeconds: Self.timeoutSeconds))
        case .setattr(let change):
            // O_TRUNC and truncate(2): a LUN has its size. Times and modes are not kept.
            if let size = change.change.sizeBytes, size != lun.sizeBytes {
                reply.error(.notPermitted)
            } else {
                reply.attributes(attributes)
            }
        case .open: reply.opened(handle: 0, openFlags: Self.openFlags)
        case .release, .flush, .access, .syncfs, .destroy: reply.ok()
        case .fsync: lun.begin(.flush, path: path, reply)
        case .fallocate(_, let offset, let length, let mode):
            discard(offset: offset, length: length, mode: mode, reply)
        case .statfs:
            reply.statistics(
                FileSystemStatistics(
                    blocks: lun.sizeBytes / Limits.blockSizeBytes, blocksFree: 0,
                    blocksAvailable: 0, files: 1, filesFree: 0,
                    blockSizeBytes: UInt32(Limits.blockSizeBytes), nameLengthMaximum: 255))
        case .lookup, .readlink, .opendir, .readdir, .readdirplus, .releasedir, .fsyncdir:
            reply.error(.notDirectory)
        case .getlk, .setlk, .setlkw: reply.error(.notSupported)
        default: reply.error(.notImplemented)
        }
    }

    /// The page cache of a path's file must hold nothing: other paths change the LUN.
    private static let openFlags =
        FUSEOpenReplyFlags.directIO | FUSEOpenReplyFlags.parallelDirectWrites
        | FUSEOpenReplyFlags.noFlush
    /// What a path's file looks like never changes.
    private static let timeoutSeconds: UInt64 = 3600

    private var attributes: FileAttributes {
        let time = Timestamp(seconds: 0, nanoseconds: 0)
        return FileAttributes(
            inode: 1, sizeBytes: lun.sizeBytes, blocks512: lun.sizeBytes / 512, accessTime: time,
            modificationTime: time, changeTime: time, mode: FileKind.regular.rawValue | 0o600,
            linkCount: 1, userID: 0, groupID: 0, deviceMajor: 0, deviceMinor: 0,
            blockSizeBytes: UInt32(Limits.blockSizeBytes))
    }

    /// What is given back and what is zeroed both read as zeros.
    private func discard(
        offset: UInt64, length: UInt64, mode: UInt32, _ reply: FUSEReplyPort
    ) {
        let zeroes = FallocateMode.punchHole | FallocateMode.zeroRange
        guard mode & ~(zeroes | FallocateMode.keepSize) == 0, mode & zeroes != 0 else {
            reply.error(.notSupported)
            return
        }
        guard offset <= lun.sizeBytes, length <= lun.sizeBytes - offset, length > 0 else {
            reply.error(.invalid)
            return
        }
        lun.begin(.discard, path: path, offset: offset, length: length, reply)
    }
}

/// Bits of fallocate(2)'s mode (`linux/falloc.h`).
enum FallocateMode {
    static let keepSize: UInt32 = 0x01
    static let punchHole: UInt32 = 0x02
    static let zeroRange: UInt32 = 0x10
}
