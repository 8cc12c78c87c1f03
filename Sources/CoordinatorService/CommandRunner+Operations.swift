import CoordinatorCore
import HostFileSystem
import NIOCore
import VolumeModel
import VolumeProtocol

extension CommandRunner {
    func perform(
        _ operation: Operation, _ payload: ByteBuffer?
    ) throws(ErrorCode) -> CommandOutcome {
        switch operation {
        case .root:
            return answer(.entry(try root()))
        case .lookup(let name):
            if directory.isOwn(name) { throw .noEntry }
            return try entry(try volume.lookup(name.name, in: name.parent))
        case .attributes(let file):
            let attributes = try volume.attributes(file)
            return answer(.attributes(attributes), size: attributes.sizeBytes)
        case .setAttributes(let file, let change):
            return try setAttributes(file, change)
        case .readLink(let file):
            return answer(.bytes(try volume.readLink(file)))
        case .create, .makeNode, .makeDirectory, .makeSymbolicLink, .link:
            return try make(operation)
        case .unlink(let name):
            try directory.refuse(name)
            try volume.unlink(name.name, in: name.parent)
            return answer(.done)
        case .removeDirectory(let name):
            try directory.refuse(name)
            try volume.removeDirectory(name.name, in: name.parent)
            return answer(.done)
        case .rename(let name, let target, let flags):
            try directory.refuse(name)
            try directory.refuse(target)
            try volume.rename(
                name.name, in: name.parent, to: target.name, in: target.parent,
                flags: HostFileSystem.RenameFlags(rawValue: flags))
            return answer(.done)
        case .open(let file, _):
            return answer(.done, size: try volume.attributes(file).sizeBytes)
        case .readDirectory(let file, let cookie, let maximumBytes, let withAttributes):
            return try readDirectory(file, cookie, Int(maximumBytes), withAttributes)
        case .statistics:
            return answer(.statistics(try volume.statistics()))
        case .extendedAttribute(let file, let name):
            return answer(.bytes(try volume.extendedAttribute(name, of: file)))
        case .setExtendedAttribute(let file, let name, let value, let flags):
            guard let setting = ExtendedAttributeSetting(rawValue: Int32(bitPattern: flags)) else {
                throw .invalid
            }
            try volume.setExtendedAttribute(name, of: file, to: value, setting: setting)
            return answer(.done)
        case .extendedAttributes(let file):
            return answer(.names(try volume.extendedAttributeNames(of: file)))
        case .removeExtendedAttribute(let file, let name):
            try volume.removeExtendedAttribute(name, of: file)
            return answer(.done)
        case .allocate(let file, let mode, let range):
            let mode = HostFileSystem.AllocationMode(rawValue: mode)
            if mode.isDisjoint(with: [.punchHole, .collapseRange]) {
                try requireRoom(for: range, of: file)
            }
            try volume.allocate(file, mode: mode, range)
            // Odd edges were zeroed in the page cache, and the outcome must not be durable before them.
            if range != range.wholeBlocks(Limits.blockSizeBytes), rules.contains(.cleanBeforeGrant)
            {
                _ = try volume.dropCache(file, range)
            }
            return answer(.done, size: try volume.attributes(file).sizeBytes)
        case .seek(let file, let offset, let target):
            return answer(
                .offset(
                    try volume.seek(file, offsetBytes: offset, to: target == .data ? .data : .hole))
            )
        case .copyRange(let source, let from, let target, let to, let length):
            let length = min(length, ServiceLimits.copyMaximumBytes)
            try requireRoom(for: ByteRange(offset: to, length: length), of: target)
            let copied = try volume.copyRange(
                from: source, offsetBytes: from, to: target, offsetBytes: to, lengthBytes: length)
            return answer(.copied(copied), size: try volume.attributes(target).sizeBytes)
        case .synchronize(let file):
            try volume.syncFile(file)
            return answer(.done)
        case .read(let file, let range):
            return try read(file, range)
        case .write(let file, let offset, let flags):
            return try write(file, offset, flags, payload ?? ByteBuffer())
        case .release, .lock, .testLock, .cancelLock, .unlockOwner, .layoutGet, .layoutGrow,
            .layoutFill, .layoutReturn, .reclaimLayout, .reclaimLock, .reclaimed,
            .createUnnamed:
            preconditionFailure("served elsewhere")
        }
    }

    private func answer(
        _ result: OperationResult, size: UInt64? = nil, payload: ByteBuffer? = nil
    ) -> CommandOutcome {
        CommandOutcome(result: .performed(result, sizeBytes: size), payload: payload)
    }

    private func entry(_ found: HostVolume.Found) throws(ErrorCode) -> CommandOutcome {
        answer(.entry(FileEntry(handle: found.handle, attributes: found.attributes)))
    }

    private func setAttributes(
        _ file: FileHandle, _ change: AttributeChange
    ) throws(ErrorCode) -> CommandOutcome {
        var rest = change
        rest.sizeBytes = nil
        // Of chown(2) with neither owner nor group FUSE leaves an empty change. It takes set-id bits
        // away and moves the change time all the same: -1 is the owner that stays.
        if change == AttributeChange() { rest.userID = .max }
        if let size = change.sizeBytes {
            try volume.truncate(file, toSizeBytes: size)
            let start = size & ~(Limits.blockSizeBytes - 1)
            if rules.contains(.cleanBeforeGrant) {
                _ = try volume.dropCache(file, ByteRange(start: start, end: .max))
            }
        }
        let attributes =
            rest == AttributeChange()
            ? try volume.attributes(file) : try volume.setAttributes(file, rest)
        return answer(.attributes(attributes), size: attributes.sizeBytes)
    }

    private func make(_ operation: Operation) throws(ErrorCode) -> CommandOutcome {
        switch operation {
        case .create(let name, let mode, let creator, _, let exclusive):
            try directory.refuse(name)
            do throws(ErrorCode) {
                return try entry(
                    try volume.create(
                        name.name, in: name.parent, mode: mode, creator: creator.onHost))
            } catch .exists where !exclusive {
                let found = try volume.lookup(name.name, in: name.parent)
                // The kernel looks the name up again, and finds what it is now.
                guard found.attributes.kind == .regular else { throw .stale }
                return try entry(found)
            }
        case .makeNode(let name, let mode, let major, let minor, let creator):
            try directory.refuse(name)
            return try entry(
                try volume.makeNode(
                    name.name, in: name.parent, mode: mode, deviceMajor: major,
                    deviceMinor: minor, creator: creator.onHost))
        case .makeDirectory(let name, let mode, let creator):
            try directory.refuse(name)
            return try entry(
                try volume.makeDirectory(
                    name.name, in: name.parent, mode: mode, creator: creator.onHost))
        case .makeSymbolicLink(let name, let target, let creator):
            try directory.refuse(name)
            return try entry(
                try volume.makeSymbolicLink(
                    name.name, in: name.parent, target: target, creator: creator.onHost))
        case .link(let file, let name):
            try directory.refuse(name)
            try volume.link(file, to: name.name, in: name.parent)
            return answer(
                .entry(FileEntry(handle: file, attributes: try volume.attributes(file))))
        default:
            preconditionFailure("makes no name")
        }
    }

    private func readDirectory(
        _ file: FileHandle, _ cookie: Int64, _ maximumBytes: Int, _ withAttributes: Bool
    ) throws(ErrorCode) -> CommandOutcome {
        // With attributes an entry is several times as large on its way to the kernel.
        let room = min(maximumBytes, Limits.directoryPageMaximumBytes) / (withAttributes ? 4 : 1)
        let entries = try volume.readDirectory(file, cookie: cookie, maximumBytes: room)
        var shown: [DirectoryEntryWithFile] = []
        for entry in entries {
            if directory.isOwn(NameInDirectory(parent: file, name: entry.name)) { continue }
            let isDots = entry.name == [0x2e] || entry.name == [0x2e, 0x2e]
            // A name that went away meanwhile is shown without its file; the kernel looks it up.
            let found =
                withAttributes && !isDots ? try? volume.lookup(entry.name, in: file) : nil
            shown.append(
                DirectoryEntryWithFile(
                    entry: entry,
                    file: found.map { FileEntry(handle: $0.handle, attributes: $0.attributes) }))
        }
        if shown.isEmpty, let last = entries.last {
            return try readDirectory(file, last.nextCookie, maximumBytes, withAttributes)
        }
        return answer(.directory(shown, atEnd: entries.isEmpty))
    }

    private func read(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) -> CommandOutcome {
        guard range.lengthBytes <= UInt64(Limits.payloadMaximumBytes) else { throw .invalid }
        let length = Int(range.lengthBytes)
        let block = Int(Limits.blockSizeBytes)
        // Read where it is sent from: whole blocks of it, as direct I/O wants.
        var buffer = ByteBufferAllocator().buffer(capacity: length + 2 * block)
        let skip = buffer.withUnsafeMutableWritableBytes { memory in
            memory.baseAddress.map { (block - Int(bitPattern: $0) & (block - 1)) & (block - 1) }
        }
        buffer.moveWriterIndex(forwardBy: skip ?? 0)
        buffer.moveReaderIndex(to: buffer.writerIndex)
        var got: Result<Int, ErrorCode> = .success(0)
        buffer.withUnsafeMutableWritableBytes { memory in
            got = Result { () throws(ErrorCode) in
                try volume.read(
                    file, offsetBytes: range.startBytes,
                    into: UnsafeMutableRawBufferPointer(rebasing: memory[..<length]))
            }
        }
        buffer.moveWriterIndex(forwardBy: try got.get())
        return answer(.data, payload: buffer)
    }

    private func write(
        _ file: FileHandle, _ offset: UInt64, _ flags: WriteFlags, _ data: ByteBuffer
    ) throws(ErrorCode) -> CommandOutcome {
        let length = data.readableBytes
        guard length <= Limits.payloadMaximumBytes else { throw .invalid }
        if flags.contains(.clearsSetID) {
            var change = AttributeChange()
            change.clearsSetID = true
            _ = try volume.setAttributes(file, change)
        }
        let before = try volume.attributes(file).sizeBytes
        let start = flags.contains(.append) ? before : offset
        try requireRoom(for: ByteRange(offset: start, length: UInt64(length)), of: file)
        var failure: ErrorCode?
        var written = 0
        data.withUnsafeReadableBytes { bytes in
            do throws(ErrorCode) {
                written = try volume.write(file, offsetBytes: start, bytes)
            } catch {
                failure = error
            }
        }
        if start + UInt64(written) > before, rules.contains(.cleanBeforeGrant) {
            // The block of the old end was zeroed in the page cache.
            let old = before & ~(Limits.blockSizeBytes - 1)
            _ = try volume.dropCache(
                file, ByteRange(start: old, end: old + Limits.blockSizeBytes))
        }
        if let failure { throw failure }
        return answer(
            .written(
                offsetBytes: start, lengthBytes: UInt32(written),
                sizeBytes: max(before, start + UInt64(written))),
            size: max(before, start + UInt64(written)))
    }
}

extension VolumeProtocol.Creator {
    var onHost: HostFileSystem.Creator {
        HostFileSystem.Creator(userID: userID, groupID: groupID, umask: umask)
    }
}
