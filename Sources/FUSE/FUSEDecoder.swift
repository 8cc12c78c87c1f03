import VolumeModel

/// Turns a request's arguments into values, field by field (`linux/fuse.h`). What the kernel would
/// never send is an error, not a trap.
struct FUSEDecoder {
    /// SETXATTR carries its extended arguments.
    var setxattrExtended = true
    var readMaximumBytes = Limits.payloadMaximumBytes
    var writeMaximumBytes = Limits.payloadMaximumBytes

    /// `struct fuse_write_in`, before the payload.
    static let writeArgumentBytes = 40

    func read(_ arguments: UnsafeRawBufferPointer) throws(FUSEDecodeError) -> FUSEReadRequest {
        var fields = FUSEFields(arguments)
        let handle = try fields.u64()
        let offset = try fields.u64()
        let size = try fields.u32()
        let readFlags = try fields.u32()
        let owner = try fields.u64()
        let flags = try fields.u32()
        try fields.skip(4)
        guard size <= readMaximumBytes else { throw .tooLarge(sizeBytes: UInt64(size)) }
        guard offset <= UInt64(Int64.max) - UInt64(size) else { throw .badValue(offset) }
        return FUSEReadRequest(
            handle: handle, offsetBytes: offset, sizeBytes: size, flags: flags,
            lockOwner: readFlags & 2 != 0 ? owner : nil)
    }

    /// The payload follows the arguments, and is all the rest.
    func write(_ arguments: UnsafeRawBufferPointer) throws(FUSEDecodeError) -> FUSEWriteRequest {
        var fields = FUSEFields(arguments)
        let handle = try fields.u64()
        let offset = try fields.u64()
        let size = try fields.u32()
        let writeFlags = try fields.u32()
        let owner = try fields.u64()
        let flags = try fields.u32()
        try fields.skip(4)
        guard size <= writeMaximumBytes else { throw .tooLarge(sizeBytes: UInt64(size)) }
        guard Int(size) == fields.remainingBytes else {
            throw .badCount(count: UInt64(size), presentBytes: fields.remainingBytes)
        }
        guard offset <= UInt64(Int64.max) - UInt64(size) else { throw .badValue(offset) }
        return FUSEWriteRequest(
            handle: handle, offsetBytes: offset, sizeBytes: size, flags: flags,
            writeFlags: writeFlags,
            lockOwner: writeFlags & FUSEWriteFlags.lockOwner != 0 ? owner : nil)
    }

    /// Everything but READ and WRITE.
    func request(
        opcode: UInt32, arguments: UnsafeRawBufferPointer
    ) throws(FUSEDecodeError) -> FUSERequest {
        guard let known = FUSEOpcode(rawValue: opcode) else { return .unknown(opcode: opcode) }
        var fields = FUSEFields(arguments)
        switch known {
        case .lookup: return .lookup(name: try fields.name())
        case .forget: return .forget(count: try fields.u64())
        case .batchForget: return try batchForget(&fields)
        case .unlink: return .unlink(name: try fields.name())
        case .rmdir: return .rmdir(name: try fields.name())
        case .symlink, .mknod, .mkdir, .rename, .rename2, .link, .create, .tmpfile:
            return try names(known, &fields)
        case .open, .opendir, .release, .releasedir, .readdir, .readdirplus, .fsync, .fsyncdir,
            .flush, .fallocate, .lseek, .copyFileRange, .copyFileRange64, .ioctl, .poll:
            return try handles(known, &fields)
        case .getattr, .setattr, .statx, .getxattr, .setxattr, .listxattr, .removexattr, .access:
            return try attributes(known, &fields)
        case .getlk: return .getlk(try lock(&fields))
        case .setlk: return .setlk(try lock(&fields))
        case .setlkw: return .setlkw(try lock(&fields))
        case .bmap:
            return .bmap(block: try fields.u64(), blockSizeBytes: try fields.u32())
        case .interrupt: return .interrupt(unique: try fields.u64())
        case .readlink: return .readlink
        case .statfs: return .statfs
        case .syncfs: return .syncfs
        case .destroy: return .destroy
        case .notifyReply: return .unknown(opcode: opcode)
        case .read, .write, .initialize: throw .unexpected(opcode: opcode)
        }
    }

    private func batchForget(_ fields: inout FUSEFields) throws(FUSEDecodeError) -> FUSERequest {
        let count = try fields.u32()
        try fields.skip(4)
        guard UInt64(count) * 16 <= UInt64(fields.remainingBytes) else {
            throw .badCount(count: UInt64(count), presentBytes: fields.remainingBytes)
        }
        var forgets: [(nodeID: UInt64, count: UInt64)] = []
        forgets.reserveCapacity(Int(count))
        for _ in 0..<count { forgets.append((try fields.u64(), try fields.u64())) }
        return .batchForget(forgets)
    }

    private func lock(_ fields: inout FUSEFields) throws(FUSEDecodeError) -> FUSELock {
        let handle = try fields.u64()
        let owner = try fields.u64()
        let start = try fields.u64()
        let end = try fields.u64()
        let typeNumber = try fields.u32()
        let pid = try fields.u32()
        let flags = try fields.u32()
        try fields.skip(4)
        guard let type = FUSELockType(rawValue: typeNumber) else {
            throw .badValue(UInt64(typeNumber))
        }
        guard start <= end else { throw .badValue(end) }
        return FUSELock(
            handle: handle, owner: owner, start: start, end: end, type: type, pid: pid,
            isFlock: flags & 1 != 0)
    }
}
