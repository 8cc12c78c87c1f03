/// What is wrong with a path.
public enum PathFault: Hashable, Sendable {
    case ok
    /// I/O fails at once with EIO. A late write that was held back before may still land.
    case fail
    /// I/O is held until the path is restored, cut, or its key preempted and aborted. SCSI commands
    /// wait, too.
    case hang
    /// I/O comes to the target this much later.
    case slow(milliseconds: Int)
    /// As `fail`, and nothing of this path lands any more: what a power loss leaves.
    case cut

    /// As the control socket names it.
    public var name: String {
        switch self {
        case .ok: "ok"
        case .fail: "fail"
        case .hang: "hang"
        case .slow: "slow"
        case .cut: "cut"
        }
    }
}
