/// What a mount needs the cluster for when its node's path to the LUN fails. The mount asks for one
/// thing at a time.
public protocol PathGuard: AnyObject, Sendable {
    /// Proves that nothing this path has sent can land any more: another node has its key preempted
    /// and aborted. False: not proven; the mount asks again a little later.
    func fencePath() async -> Bool
    /// Takes the path into use again, under a new key where its own is gone. False: not now; the mount
    /// asks again.
    func restorePath() async -> Bool
}
