import Synchronization
import VolumeModel

/// Answers one request; from any thread, exactly once. A second answer traps in debug builds.
///
/// Every answer returns whether the kernel took it. It does not where the connection was aborted:
/// then a handle that was opened for it stays the caller's to close, and no lookup counts. On io_uring
/// the worker hands the answer over later, and true means that the connection was there until now.
public struct FUSEReplyPort: Sendable {
    let route: FUSEAnswerRoute
    let unique: UInt64
    let opcode: UInt32
    #if DEBUG
        private let token = ReplyToken()
    #endif

    init(route: FUSEAnswerRoute, unique: UInt64, opcode: UInt32) {
        self.route = route
        self.unique = unique
        self.opcode = opcode
    }

    @discardableResult public func error(_ code: ErrorCode) -> Bool {
        if opcode == FUSEOpcode.interrupt.rawValue {
            answered()
            return code == .tryAgain && route.connection.repeatInterrupt(unique: unique)
        }
        return send(error: -code.number, [])
    }

    /// Success without a value.
    @discardableResult public func ok() -> Bool { send([]) }

    /// For requests that take no answer: FORGET, BATCH_FORGET, and an INTERRUPT that was heard.
    public func none() {
        precondition(
            !FUSEOpcode.hasReply(opcode) || opcode == FUSEOpcode.interrupt.rawValue,
            "opcode \(opcode) waits for an answer")
        answered()
    }

    /// LOOKUP, MKNOD, MKDIR, SYMLINK, LINK.
    @discardableResult public func entry(_ entry: FUSEEntry) -> Bool {
        send(capacity: 128) { $0.entry(entry) }
    }

    /// GETATTR, SETATTR.
    @discardableResult
    public func attributes(_ attributes: FileAttributes, timeoutSeconds: UInt64 = 0) -> Bool {
        send(capacity: 104) {
            $0.u64(timeoutSeconds)
            $0.u64(0)
            $0.attributes(attributes)
        }
    }

    /// OPEN, OPENDIR. `openFlags`: ``FUSEOpenReplyFlags``.
    @discardableResult public func opened(handle: UInt64, openFlags: UInt32) -> Bool {
        send(capacity: 16) { $0.opened(handle: handle, openFlags: openFlags) }
    }

    /// CREATE, TMPFILE.
    @discardableResult
    public func created(_ entry: FUSEEntry, handle: UInt64, openFlags: UInt32) -> Bool {
        send(capacity: 144) {
            $0.entry(entry)
            $0.opened(handle: handle, openFlags: openFlags)
        }
    }

    /// READLINK, and the value of GETXATTR and LISTXATTR.
    @discardableResult public func data(_ bytes: [UInt8]) -> Bool { send(bytes) }

    /// GETXATTR and LISTXATTR of size 0.
    @discardableResult public func xattrSize(_ sizeBytes: UInt32) -> Bool {
        send(capacity: 8) {
            $0.u32(sizeBytes)
            $0.u32(0)
        }
    }

    /// STATFS.
    @discardableResult public func statistics(_ statistics: FileSystemStatistics) -> Bool {
        send(capacity: 80) { $0.statistics(statistics) }
    }

    /// GETLK: the lock in the way, or nil.
    @discardableResult public func lock(_ lock: FUSELock?) -> Bool {
        send(capacity: 24) {
            $0.u64(lock?.start ?? 0)
            $0.u64(lock?.end ?? 0)
            $0.u32(lock?.type.rawValue ?? FUSELockType.unlock.rawValue)
            $0.u32(lock?.pid ?? 0)
        }
    }

    /// LSEEK.
    @discardableResult public func offset(_ offsetBytes: UInt64) -> Bool {
        send(capacity: 8) { $0.u64(offsetBytes) }
    }

    /// COPY_FILE_RANGE. A kernel before 6.18 takes at most 4 GiB - 1: copy no more at once.
    @discardableResult public func written(_ bytes: UInt64) -> Bool {
        send(capacity: 8) {
            if opcode == FUSEOpcode.copyFileRange64.rawValue {
                $0.u64(bytes)
            } else {
                $0.u32(UInt32(clamping: bytes))
                $0.u32(0)
            }
        }
    }

    /// READDIR, READDIRPLUS; empty at the end.
    @discardableResult public func directory(_ builder: FUSEDirectoryBuilder) -> Bool {
        precondition(
            builder.isPlus == (opcode == FUSEOpcode.readdirplus.rawValue),
            "the builder is of the other kind")
        return send(builder.bytes)
    }

    @discardableResult public func statx(_ statx: FUSEStatx) -> Bool {
        send(capacity: 288) { $0.statx(statx) }
    }

    /// IOCTL; at most the request's output size.
    @discardableResult public func ioctl(result: Int32, output: [UInt8]) -> Bool {
        send(capacity: 16 + output.count) {
            $0.u32(UInt32(bitPattern: result))
            $0.zeros(12)
            $0.raw(output)
        }
    }

    /// POLL: the events of poll(2) that are there.
    @discardableResult public func polled(_ events: UInt32) -> Bool {
        send(capacity: 8) {
            $0.u32(events)
            $0.u32(0)
        }
    }

    /// BMAP.
    @discardableResult public func block(_ block: UInt64) -> Bool {
        send(capacity: 8) { $0.u64(block) }
    }

    private func send(capacity: Int, _ encode: (inout FUSEEncoder) -> Void) -> Bool {
        var encoder = FUSEEncoder(capacity: capacity)
        encode(&encoder)
        return send(encoder.bytes)
    }

    private func send(error: Int32 = 0, _ bytes: [UInt8]) -> Bool {
        answered()
        guard FUSEOpcode.hasReply(opcode), opcode != FUSEOpcode.interrupt.rawValue else {
            return false
        }
        return bytes.withUnsafeBytes {
            route.reply(
                unique: unique, error: error, data: $0.baseAddress, lengthBytes: $0.count)
        }
    }

    private func answered() {
        #if DEBUG
            token.use()
        #endif
    }
}

#if DEBUG
    /// Traps on its second use.
    private final class ReplyToken: Sendable {
        private let used = Atomic(false)

        func use() {
            let before = used.exchange(true, ordering: .relaxed)
            precondition(!before, "a FUSE request was answered twice")
        }
    }
#endif
