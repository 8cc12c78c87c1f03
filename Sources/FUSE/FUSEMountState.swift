/// What another process must know of a mount, besides its descriptors, to serve it on.
public struct FUSEMountState: Codable, Hashable, Sendable {
    /// Where it is mounted.
    public var path: String
    /// The number of the connection below `/sys/fs/fuse/connections`.
    public var connectionID: UInt32
    /// What the kernel and the first process agreed on; INIT comes once only.
    public var flags: UInt64
    public var protocolMinor: UInt32
    public var maximumReadBytes: Int
    public var maximumWriteBytes: Int
    /// How many descriptors of /dev/fuse there are, one for each worker.
    public var workers: Int
    /// The workers' ring memories, whose files follow the workers' descriptors; none on /dev/fuse.
    public var rings: [FUSERingState]
}
