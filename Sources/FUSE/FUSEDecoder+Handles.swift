extension FUSEDecoder {
    /// Requests that open something, or act on what is open.
    func handles(
        _ opcode: FUSEOpcode, _ fields: inout FUSEFields
    ) throws(FUSEDecodeError) -> FUSERequest {
        switch opcode {
        case .open: return .open(flags: try fields.u32(), openFlags: try fields.u32())
        case .opendir:
            let flags = try fields.u32()
            return .opendir(flags: flags)
        case .release, .releasedir:
            let handle = try fields.u64()
            let flags = try fields.u32()
            let releaseFlags = try fields.u32()
            let owner = try fields.u64()
            return opcode == .releasedir
                ? .releasedir(handle: handle, flags: flags)
                : .release(
                    handle: handle, flags: flags, releaseFlags: releaseFlags, lockOwner: owner)
        case .readdir, .readdirplus:
            let handle = try fields.u64()
            let offset = try fields.u64()
            let size = try fields.u32()
            return opcode == .readdir
                ? .readdir(handle: handle, offset: offset, size: size)
                : .readdirplus(handle: handle, offset: offset, size: size)
        case .fsync, .fsyncdir:
            let handle = try fields.u64()
            let dataOnly = try fields.u32() & 1 != 0
            return opcode == .fsync
                ? .fsync(handle: handle, dataOnly: dataOnly)
                : .fsyncdir(handle: handle, dataOnly: dataOnly)
        case .flush:
            let handle = try fields.u64()
            try fields.skip(8)
            return .flush(handle: handle, lockOwner: try fields.u64())
        case .fallocate:
            return .fallocate(
                handle: try fields.u64(), offset: try Self.offset(&fields),
                length: try Self.offset(&fields), mode: try fields.u32())
        case .lseek:
            return .lseek(
                handle: try fields.u64(), offset: try Self.offset(&fields),
                whence: try fields.u32())
        case .copyFileRange, .copyFileRange64: return try copyRange(&fields)
        case .ioctl: return try ioctl(&fields)
        default:
            return .poll(
                handle: try fields.u64(), wakeupID: try fields.u64(), flags: try fields.u32(),
                events: try fields.u32())
        }
    }

    /// Offsets and lengths fit a signed 64-bit number, as in every system call.
    private static func offset(_ fields: inout FUSEFields) throws(FUSEDecodeError) -> UInt64 {
        let value = try fields.u64()
        guard value <= UInt64(Int64.max) else { throw .badValue(value) }
        return value
    }

    private func copyRange(_ fields: inout FUSEFields) throws(FUSEDecodeError) -> FUSERequest {
        let handle = try fields.u64()
        let offset = try Self.offset(&fields)
        let node = try fields.u64()
        let destination = try fields.u64()
        let destinationOffset = try Self.offset(&fields)
        return .copyFileRange(
            FUSECopyRange(
                handle: handle, offset: offset, destinationNode: node,
                destinationHandle: destination, destinationOffset: destinationOffset,
                length: try fields.u64(), flags: try fields.u64()))
    }

    private func ioctl(_ fields: inout FUSEFields) throws(FUSEDecodeError) -> FUSERequest {
        let handle = try fields.u64()
        let flags = try fields.u32()
        let command = try fields.u32()
        let argument = try fields.u64()
        let inputSize = try fields.u32()
        let outputSize = try fields.u32()
        guard Int(outputSize) <= readMaximumBytes else {
            throw .tooLarge(sizeBytes: UInt64(outputSize))
        }
        return .ioctl(
            FUSEIoctl(
                handle: handle, flags: flags, command: command, argument: argument,
                input: try fields.data(inputSize, maximum: writeMaximumBytes),
                outputSizeBytes: outputSize))
    }
}
