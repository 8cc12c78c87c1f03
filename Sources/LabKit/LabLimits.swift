/// Every bound of the lab, in one place.
public enum LabLimits {
    /// A node's number is the last part of its addresses; 32 daemons are more than one machine
    /// runs well.
    public static let maximumNodes = 32

    /// `mkfs.xfs` refuses less than 300 MiB.
    public static let minimumXFSSizeBytes: Int64 = 300 << 20

    /// An ext4 with a journal has little room left below this.
    public static let minimumExt4SizeBytes: Int64 = 64 << 20

    /// The image is sparse, yet a size beyond this is a slip of the pen.
    public static let maximumSizeBytes: Int64 = 64 << 40

    /// `sun_path` of unix(7) without its closing NUL.
    public static let maximumSocketPathBytes = 107

    /// What is kept of a command's output, of each stream.
    public static let maximumOutputBytes = 64 << 20

    /// What is read of a state file, or of a file under /proc.
    public static let maximumStateFileBytes = 4 << 20

    /// What is shown of a log when something failed.
    public static let logTailLines = 60

    /// Labs of one machine: the second part of their addresses, 1 to 254.
    public static let labIDs: ClosedRange<Int> = 1...254

    /// How long `up` waits for a daemon's socket.
    public static let daemonStartSeconds: Double = 30

    /// How long `up` waits until every node serves the volume, formatting not counted.
    public static let servingSeconds: Double = 90

    /// How long `covol volume add` may take: it formats.
    public static let volumeAddSeconds: Double = 120

    /// How long `down` lets processes end by themselves before it kills them.
    public static let graceSeconds: Double = 5

    /// How long `down` waits for a killed process, or for a loop device, to go.
    public static let goneSeconds: Double = 10

    /// So long `power off` waits for the daemon before it goes on to the other processes.
    public static let daemonGoneSeconds: Double = 2

    /// What `storage slow` may add to each I/O, and adds unless told otherwise.
    public static let slowMaximumMilliseconds = 60_000
    public static let slowDefaultMilliseconds = 100

    /// The time-out of a command run on a node, unless its caller says another.
    public static let commandSeconds: Double = 60
}
