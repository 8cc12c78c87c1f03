import Glibc

/// The kernel's control files of FUSE connections (Documentation/filesystems/fuse/fuse.rst).
enum FUSEConnections {
    static let directory = "/sys/fs/fuse/connections"

    /// Makes every request of the mounts below a directory fail with ECONNABORTED, so that
    /// nothing waits for a daemon that does not answer. Touches no mount.
    /// - Parameter spared: a directory whose mounts go on.
    static func abort(
        below directory: String, except spared: String? = nil
    ) throws(LabError) {
        try abort(
            MountInfo.below(directory).filter { mount in
                spared.map { !mount.mountPoint.hasPrefix($0 + "/") } ?? true
            })
    }

    static func abort(_ mounts: [MountInfo]) throws(LabError) {
        let connections = Set(mounts.filter { $0.isFUSE && $0.major == 0 }.map(\.minor))
        guard !connections.isEmpty else { return }
        mountControl()
        for minor in connections {
            // Gone already: the daemon or the mount ended meanwhile.
            try? SystemFile.write("1", into: "\(directory)/\(minor)/abort")
        }
    }

    /// Systems with systemd mount it at boot; others leave it to us.
    private static func mountControl() {
        guard SystemFile.names(in: directory).isEmpty else { return }
        _ = mount("fusectl", directory, "fusectl", 0, nil)
    }
}
