import VolumeModel

/// The options of the private mount (rule sole-mutator), set explicitly because an adopted file
/// system's superblock can ask for others.
enum MountOptions {
    /// Options with a value, then flags, in the order in which they are given to fsconfig(2).
    static func settings(_ kind: FileSystemKind) -> [(key: String, value: String?)] {
        switch kind {
        case .xfs:
            // noquota: quotas would be neither enforced (the coordinator is privileged) nor cheap: a
            // quota check at the mount reads every inode, in the middle of a failover.
            // nouuid: on one kernel XFS refuses a second mount of a file system whose first one hangs,
            // fenced, in a stopped daemon. Who may mount is the ownership record's to say.
            [("inode64", nil), ("nodiscard", nil), ("noquota", nil), ("nouuid", nil)]
        case .ext4:
            // nodelalloc: the coordinator flushes each buffered write at once, so delayed allocation
            // would gain nothing, and report a full volume later than the write that filled it.
            [
                ("data", "ordered"), ("errors", "remount-ro"), ("nodiscard", nil),
                ("barrier", nil), ("nodelalloc", nil),
            ]
        }
    }

    /// What `/proc/fs/ext4/DEVICE/options` must show once mounted.
    static let ext4Required = [
        "rw", "data=ordered", "errors=remount-ro", "nodiscard", "barrier", "nodelalloc",
    ]

    /// The required options that are missing from the kernel's list.
    static func missingExt4Options(in shown: String) -> [String] {
        let present = Set(shown.split(separator: "\n").map(String.init))
        return ext4Required.filter { !present.contains($0) }
    }
}
