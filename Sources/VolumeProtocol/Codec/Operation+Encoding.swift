import VolumeModel

extension Operation {
    public func encode(into writer: inout ByteWriter) {
        writer.append(number: number)
        switch self {
        case .root, .statistics, .reclaimed: break
        case .lookup(let name), .unlink(let name), .removeDirectory(let name): writer.append(name)
        case .attributes(let file), .readLink(let file), .extendedAttributes(let file),
            .synchronize(let file):
            writer.append(file)
        case .setAttributes(let file, let change):
            writer.append(file)
            writer.append(change)
        case .create(let name, let mode, let creator, let open, let exclusive):
            writer.append(name)
            writer.append(mode)
            writer.append(creator)
            writer.append(open)
            writer.append(exclusive)
        case .createUnnamed(let directory, let mode, let creator, let open):
            writer.append(directory)
            writer.append(mode)
            writer.append(creator)
            writer.append(open)
        case .makeNode(let name, let mode, let deviceMajor, let deviceMinor, let creator):
            writer.append(name)
            writer.append(mode)
            writer.append(deviceMajor)
            writer.append(deviceMinor)
            writer.append(creator)
        case .makeDirectory(let name, let mode, let creator):
            writer.append(name)
            writer.append(mode)
            writer.append(creator)
        case .makeSymbolicLink(let name, let target, let creator):
            writer.append(name)
            writer.append(counted: target)
            writer.append(creator)
        case .link(let file, let name):
            writer.append(file)
            writer.append(name)
        case .rename(let name, let target, let flags):
            writer.append(name)
            writer.append(target)
            writer.append(flags)
        case .open(let file, let open):
            writer.append(file)
            writer.append(open)
        case .release(let file, let open, let report):
            writer.append(file)
            writer.append(open)
            writer.append(report)
        case .readDirectory(let directory, let cookie, let maximumBytes, let withAttributes):
            writer.append(directory)
            writer.append(cookie)
            writer.append(maximumBytes)
            writer.append(withAttributes)
        case .lock(let request), .testLock(let request), .reclaimLock(let request):
            writer.append(request)
        case .cancelLock(let sequence): writer.append(sequence)
        case .unlockOwner(let file, let owner):
            writer.append(file)
            writer.append(owner)
        case .extendedAttribute, .setExtendedAttribute, .removeExtendedAttribute, .allocate, .seek,
            .copyRange, .layoutGet, .layoutGrow, .layoutFill, .layoutReturn, .read, .write,
            .reclaimLayout:
            encodeContents(into: &writer)
        }
    }

    /// The operations on what a file holds.
    private func encodeContents(into writer: inout ByteWriter) {
        switch self {
        case .extendedAttribute(let file, let name), .removeExtendedAttribute(let file, let name):
            writer.append(file)
            writer.append(name: name)
        case .setExtendedAttribute(let file, let name, let value, let flags):
            writer.append(file)
            writer.append(name: name)
            writer.append(counted: value)
            writer.append(flags)
        case .allocate(let file, let mode, let range):
            writer.append(file)
            writer.append(mode)
            writer.append(range)
        case .seek(let file, let offsetBytes, let target):
            writer.append(file)
            writer.append(offsetBytes)
            writer.append(number: target)
        case .copyRange(let source, let sourceOffset, let target, let targetOffset, let length):
            writer.append(source)
            writer.append(sourceOffset)
            writer.append(target)
            writer.append(targetOffset)
            writer.append(length)
        case .layoutGet(let file, let range), .layoutGrow(let file, let range),
            .layoutFill(let file, let range), .read(let file, let range):
            writer.append(file)
            writer.append(range)
        case .layoutReturn(let file, let range, let report):
            writer.append(file)
            writer.append(range)
            writer.append(report)
        case .write(let file, let offsetBytes, let flags):
            writer.append(file)
            writer.append(offsetBytes)
            writer.append(flags.rawValue)
        case .reclaimLayout(let file, let ranges, let growth):
            writer.append(file)
            writer.append(list: ranges)
            writer.append(growth != nil)
            if let growth { writer.append(growth) }
        default: preconditionFailure("not an operation on what a file holds")
        }
    }

    private var number: OperationNumber {
        switch self {
        case .root: .root
        case .lookup: .lookup
        case .attributes: .attributes
        case .setAttributes: .setAttributes
        case .readLink: .readLink
        case .create: .create
        case .createUnnamed: .createUnnamed
        case .makeNode: .makeNode
        case .makeDirectory: .makeDirectory
        case .makeSymbolicLink: .makeSymbolicLink
        case .link: .link
        case .unlink: .unlink
        case .removeDirectory: .removeDirectory
        case .rename: .rename
        case .open: .open
        case .release: .release
        case .readDirectory: .readDirectory
        case .statistics: .statistics
        case .extendedAttribute: .extendedAttribute
        case .setExtendedAttribute: .setExtendedAttribute
        case .extendedAttributes: .extendedAttributes
        case .removeExtendedAttribute: .removeExtendedAttribute
        case .allocate: .allocate
        case .seek: .seek
        case .copyRange: .copyRange
        case .synchronize: .synchronize
        case .lock: .lock
        case .testLock: .testLock
        case .cancelLock: .cancelLock
        case .unlockOwner: .unlockOwner
        case .layoutGet: .layoutGet
        case .layoutGrow: .layoutGrow
        case .layoutFill: .layoutFill
        case .layoutReturn: .layoutReturn
        case .read: .read
        case .write: .write
        case .reclaimLayout: .reclaimLayout
        case .reclaimLock: .reclaimLock
        case .reclaimed: .reclaimed
        }
    }
}
