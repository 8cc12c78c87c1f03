import CoordinatorCore
import HostFileSystem
import VolumeModel
import VolumeProtocol

extension Command {
    /// May leave something in the journal that is not on the LUN yet.
    var isChange: Bool {
        switch self {
        case .resolve, .stat, .map: false
        case .perform(let operation): operation.isChange
        case .hide, .renameHiding, .removeHidden, .grow, .fill, .settle: true
        }
    }

    /// Taking a range out of a file, or putting one in, moves its extents one after the other: a crash
    /// in the middle would leave what neither is done nor is not.
    var isManyChanges: Bool {
        guard case .perform(.allocate(_, let mode, _)) = self else { return false }
        let modes = HostFileSystem.AllocationMode(rawValue: mode)
        return !modes.isDisjoint(with: [.collapseRange, .insertRange])
    }

    /// The inodes of which a result shows something; nil: more than one can tell.
    func shown(with result: CommandResult) -> [FileHandle]? {
        guard case .perform(let operation) = self else { return nil }
        switch (operation, result) {
        case (.lookup(let name), .performed(.entry(let entry), _)):
            return [name.parent, entry.handle]
        case (.lookup(let name), .failed):
            return [name.parent]
        case (.readDirectory(let directory, _, _, _), .performed(.directory(let entries, _), _)):
            return [directory] + entries.compactMap { $0.file?.handle }
        case (.attributes(let file), _), (.open(let file, _), _), (.readLink(let file), _),
            (.read(let file, _), _), (.seek(let file, _, _), _),
            (.extendedAttribute(let file, _), _), (.extendedAttributes(let file), _):
            return [file]
        default:
            return nil
        }
    }

    /// The result shows nothing but this change, and what was durable before it began. So a write: it
    /// tells the size, which nothing else changes as long as the write has its claims, and these last
    /// until it is durable.
    func showsItselfAlone(_ result: CommandResult) -> Bool {
        if case (.perform(.write), .performed(.written, _)) = (self, result) { true } else { false }
    }

    /// What leads to no answer by itself and, where a rule is broken, what that lets out early.
    func needsNoCommit(_ rules: SafetyRules) -> Bool {
        switch self {
        case .resolve: true
        case .map, .grow, .fill: !rules.contains(.durableBeforeGrant)
        default: !rules.contains(.durableBeforeShown)
        }
    }
}

extension Operation {
    /// Changes the file system.
    var isChange: Bool {
        switch self {
        case .synchronize, .layoutGrow, .layoutFill: true
        default: needsSlot
        }
    }
}

extension ErrorCode {
    /// With ENOLINK and EUCLEAN, which is XFS's word for damage.
    private static let ofFailures: Set<ErrorCode> = [
        .inputOutput, .readOnly, .noDevice, .reservationConflict, .timedOut, .remoteIO,
        ErrorCode(67), ErrorCode(117),
    ]

    /// What a file system answers when it, or the LUN below it, has failed as a whole, or when this
    /// node's key was taken from the LUN.
    var isOfFailure: Bool { Self.ofFailures.contains(self) }
}

extension CommandResult {
    /// An error that may be of the whole file system. ESTALE too: open_by_handle_at(2) says so whatever
    /// kept it from reading the inode.
    var doubtfulError: ErrorCode? {
        let error: ErrorCode
        switch self {
        case .failed(let code), .performed(.failed(let code), _): error = code
        default: return nil
        }
        return error.isOfFailure || error == .stale ? error : nil
    }
}
