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

    /// What a broken rule lets out early; nothing where the rules hold.
    func needsNoCommit(_ rules: SafetyRules) -> Bool {
        switch self {
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

extension CommandResult {
    /// An error that a file system answers when it, or the LUN below it, has failed as a whole.
    var doubtfulError: ErrorCode? {
        let error: ErrorCode
        switch self {
        case .failed(let code), .performed(.failed(let code), _): error = code
        default: return nil
        }
        return error == .inputOutput || error == .readOnly || error == .noDevice ? error : nil
    }
}
