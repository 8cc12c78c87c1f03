import CLinux
import Glibc

/// Named network namespaces, as ip-netns(8) keeps them in /run/netns.
enum NetworkNamespace {
    static let directory = "/run/netns"

    static func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Names of namespaces that start with `prefix`.
    static func names(prefix: String) -> [String] {
        SystemFile.names(in: directory).filter { $0.hasPrefix(prefix) }
    }

    /// A descriptor of the namespace, close-on-exec. The caller closes it.
    static func open(_ name: String) throws(LabError) -> Int32 {
        let number = Glibc.open(path(name), O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw LabError.system("open", path(name)) }
        return number
    }

    /// Removes the name. The namespace goes with its last process.
    static func delete(_ name: String) {
        _ = covol_unmount_lazily(path(name))
        unlink(path(name))
    }

    /// The processes whose network namespace is one of the named, this one excepted.
    static func processes(in names: [String]) -> [ProcessIdentity] {
        let wanted = Set(names.compactMap { inode(path($0)) })
        guard !wanted.isEmpty else { return [] }
        return SystemFile.names(in: "/proc").compactMap { name in
            guard let pid = Int32(name), pid != getpid(),
                let identity = ProcessIdentity(pid: pid),
                let own = inode("/proc/\(pid)/ns/net"), wanted.contains(own)
            else {
                return nil
            }
            return identity
        }
    }

    /// Namespaces of one kind share a file system, so that the inode's number names them.
    private static func inode(_ path: String) -> UInt64? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        // A name whose namespace was unmounted is an empty file on tmpfs: another device.
        var reference = stat()
        guard stat("/proc/self/ns/net", &reference) == 0, status.st_dev == reference.st_dev
        else {
            return nil
        }
        return UInt64(status.st_ino)
    }
}
