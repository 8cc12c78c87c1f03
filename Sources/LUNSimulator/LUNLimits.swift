/// Every bound of the simulator, in one place.
public enum LUNLimits {
    public static let pathsMaximum = 64
    /// A path's name is a file's name.
    public static let pathNameMaximumBytes = 64
    /// Operations of all paths that are under way or held. Reads and writes are bounded by each
    /// path's own slots; beyond the bound a flush or discard fails with EIO.
    static let operationsMaximum = 16384
    /// The longest delay of a slow path.
    public static let slowMaximumMilliseconds = 60_000
    /// Landed writes that are remembered; older ones are forgotten, and the answers say so.
    static let accessesMaximum = 1 << 18
    /// Entries in one answer to `accesses`.
    static let accessesPerAnswerMaximum = 4096
    /// Clients of the control socket at a time.
    static let clientsMaximum = 64
    /// A request line of the control socket.
    static let lineMaximumBytes = 1 << 20
    /// How long a SCSI command waits on a path that hangs before it fails.
    static let commandHangSeconds: Double = 10
    /// How long a cut or a PREEMPT AND ABORT waits for writes that the image has taken already.
    static let drainSeconds: Double = 30
    /// What `--log` may grow to.
    static let logMaximumBytes = 256 << 20
}
