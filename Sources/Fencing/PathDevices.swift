import Glibc

/// Which devices carry a block device's commands to the target.
public enum PathDevices {
    /// The paths below a dm-multipath device, by its `slaves` in sysfs; else the device itself.
    ///
    /// PERSISTENT RESERVE OUT must go to the paths: keys are per path, and dm-multipath's own
    /// reservation calls turn PREEMPT AND ABORT into PREEMPT.
    public static func below(_ device: String) throws(FenceError) -> [String] {
        try below(device, sysfs: "/sys/class/block", depth: 0)
    }

    static func below(
        _ device: String, sysfs: String, depth: Int = 0
    ) throws(FenceError) -> [String] {
        // Device-mapper stacks are a few levels deep; the bound is against a loop in a damaged
        // tree.
        guard depth < 8 else {
            throw .unsupported("\(device): more than 8 levels of devices below it")
        }
        guard let resolved = realpath(device, nil) else {
            throw .unsupported("\(device): there is no such device")
        }
        defer { free(resolved) }
        let path = String(cString: resolved)
        let name = String(path.split(separator: "/").last ?? "")
        let slaves = names(in: "\(sysfs)/\(name)/slaves")
        if slaves.isEmpty { return [path] }
        let directory = String(path.dropLast(name.utf8.count))
        var paths: [String] = []
        for slave in slaves {
            paths += try below(directory + slave, sysfs: sysfs, depth: depth + 1)
        }
        return paths
    }

    private static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
