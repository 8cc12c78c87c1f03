import VolumeModel

/// INIT: what both sides agree on before anything else.
struct FUSEHandshake {
    /// What was agreed.
    var flags: FUSEInitFlags
    var protocolMinor: UInt32
    var unique: UInt64
    var reply: [UInt8]

    var transport: FUSETransport { flags.contains(.overUring) ? .uring : .device }

    enum Failure: Error, Hashable {
        case notInit(opcode: UInt32)
        case version(major: UInt32, minor: UInt32)
        case missing(FUSEInitFlags)
        case malformed(FUSEDecodeError)

        static func == (left: Failure, right: Failure) -> Bool {
            "\(left)" == "\(right)"
        }

        func hash(into hasher: inout Hasher) { hasher.combine("\(self)") }
    }

    static let required: FUSEInitFlags = [
        .bigWrites, .posixLocks, .flockLocks, .doNotMask, .maximumPages, .handleKillPrivilegesV2,
    ]

    static let optional: FUSEInitFlags = [
        .asyncRead, .autoInvalidateData, .asyncDirectIO, .parallelDirectoryOperations, .posixACL,
        .abortError, .setxattrExtended, .initExtended, .hasResend,
    ]

    /// Decides on `request`, a whole INIT with its header. `wantsUring`: FUSE over io_uring is asked
    /// for where it is offered; the kernel then sends no request before every queue has an entry.
    init(
        request: UnsafeRawBufferPointer, options: FUSEMountOptions, wantsUring: Bool = false
    ) throws(Failure) {
        do throws(FUSEDecodeError) {
            let header = try FUSERequestHeader(request)
            guard header.opcode == FUSEOpcode.initialize.rawValue else {
                throw FUSEDecodeError.unexpected(opcode: header.opcode)
            }
            unique = header.context.unique
        } catch {
            if case .unexpected(let opcode) = error { throw .notInit(opcode: opcode) }
            throw .malformed(error)
        }
        var fields = FUSEFields(
            UnsafeRawBufferPointer(rebasing: request[FUSERequestHeader.sizeBytes...]))
        let major: UInt32
        let minor: UInt32
        let readAhead: UInt32
        var offered: UInt64
        do throws(FUSEDecodeError) {
            major = try fields.u32()
            minor = try fields.u32()
            readAhead = try fields.u32()
            offered = UInt64(try fields.u32())
            if FUSEInitFlags(rawValue: offered).contains(.initExtended) {
                offered |= UInt64(try fields.u32()) << 32
            }
        } catch { throw .malformed(error) }
        guard major == FUSELimits.protocolMajor, minor >= FUSELimits.protocolMinorMinimum else {
            throw .version(major: major, minor: minor)
        }
        let kernel = FUSEInitFlags(rawValue: offered)
        guard kernel.isSuperset(of: Self.required) else {
            throw .missing(Self.required.subtracting(kernel))
        }
        var wanted = Self.required.union(Self.optional).union(options.readdirplus.flags)
        if wantsUring { wanted.insert(.overUring) }
        flags = wanted.intersection(kernel)
        protocolMinor = min(minor, FUSELimits.protocolMinor)
        reply = Self.reply(
            flags: flags, minor: protocolMinor, readAhead: readAhead, options: options)
    }

    /// `struct fuse_init_out`, 64 bytes.
    private static func reply(
        flags: FUSEInitFlags, minor: UInt32, readAhead: UInt32, options: FUSEMountOptions
    ) -> [UInt8] {
        var encoder = FUSEEncoder(capacity: 64)
        encoder.u32(FUSELimits.protocolMajor)
        encoder.u32(minor)
        encoder.u32(readAhead)
        encoder.u32(UInt32(truncatingIfNeeded: flags.rawValue))
        encoder.u16(options.maximumBackground)
        encoder.u16(options.congestionThreshold)
        encoder.u32(UInt32(options.maximumWriteBytes))
        // Times have a granularity of 1 ns.
        encoder.u32(1)
        let largest = max(options.maximumReadBytes, options.maximumWriteBytes)
        encoder.u16(UInt16(largest / FUSELimits.pageSizeBytes))
        encoder.u16(0)
        encoder.u32(UInt32(truncatingIfNeeded: flags.rawValue >> 32))
        encoder.zeros(28)
        return encoder.bytes
    }
}
