import VolumeModel

/// What a node may keep of an answer, and show again without asking, until the coordinator recalls it
/// (rule recall-before-change).
public struct MetadataGrant: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The attributes of the file that the answer shows.
    public static let attributes = MetadataGrant(rawValue: 1)
    /// That the names which were asked for, or are shown, stand for what the answer says; or that there
    /// is no such name.
    public static let names = MetadataGrant(rawValue: 2)
    public static let all: MetadataGrant = [.attributes, .names]
}

/// What of a volume's metadata an operation changes.
public enum MetadataItem: Hashable, Sendable {
    case attributes(FileHandle)
    case name(NameInDirectory)

    /// The inode whose grant covers it.
    public var file: FileHandle {
        switch self {
        case .attributes(let file): file
        case .name(let name): name.parent
        }
    }
}

extension Operation {
    /// What this operation may change, as far as it says so itself: of a file that only its name tells,
    /// the coordinator knows. A node drops these before it sends the operation, and takes none of them
    /// until it has been answered; so of an operation with a slot, which is never done twice, a
    /// coordinator need not recall them from the node that asks.
    public var changedMetadata: [MetadataItem] {
        switch self {
        case .setAttributes(let file, _), .setExtendedAttribute(let file, _, _, _),
            .removeExtendedAttribute(let file, _), .allocate(let file, _, _),
            .write(let file, _, _), .layoutGrow(let file, _), .layoutFill(let file, _):
            [.attributes(file)]
        case .copyRange(_, _, let target, _, _):
            [.attributes(target)]
        case .release(let file, _, let report), .layoutReturn(let file, _, let report):
            report.isEmpty ? [] : [.attributes(file)]
        case .create(let name, _, _, _, _), .makeNode(let name, _, _, _, _),
            .makeDirectory(let name, _, _), .makeSymbolicLink(let name, _, _), .unlink(let name),
            .removeDirectory(let name):
            [.name(name), .attributes(name.parent)]
        case .link(let file, let name):
            [.attributes(file), .name(name), .attributes(name.parent)]
        case .rename(let name, let target, _):
            [
                .name(name), .name(target), .attributes(name.parent), .attributes(target.parent),
            ]
        case .root, .lookup, .attributes, .readLink, .createUnnamed, .open, .readDirectory,
            .statistics, .extendedAttribute, .extendedAttributes, .seek, .synchronize, .lock,
            .testLock, .cancelLock, .unlockOwner, .layoutGet, .read, .reclaimLayout, .reclaimLock,
            .reclaimed:
            []
        }
    }

    /// Whether an answer may carry a ``MetadataGrant``.
    public var showsMetadata: Bool {
        switch self {
        case .lookup, .attributes, .setAttributes, .create, .createUnnamed, .makeNode,
            .makeDirectory, .makeSymbolicLink, .link:
            true
        case .readDirectory(_, _, _, let withAttributes): withAttributes
        default: false
        }
    }
}
