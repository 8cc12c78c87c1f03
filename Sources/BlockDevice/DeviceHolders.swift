import CLinux
import VolumeModel

/// Who on this node uses a block device or image file.
enum DeviceHolders {
    /// In words, one user each; empty where it is free.
    static func find(_ path: String, _ geometry: Geometry) -> [String] {
        let loops = loopDevices(over: geometry)
        guard geometry.isBlockDevice else { return loops }
        let number = "\(geometry.identity.major):\(geometry.identity.minor)"
        var found = mountPoints(number).map { "it is mounted at \($0)" }
        found += directoryNames("/sys/dev/block/\(number)/holders").map { "/dev/\($0) is on it" }
        found += loops
        if found.isEmpty, !canOpenExclusively(path) {
            found.append(
                "a program, or a mount of another namespace, has it open exclusively")
        }
        return found
    }

    /// A block device opens with O_EXCL only when no mount, mapping or swap has claimed it.
    private static func canOpenExclusively(_ path: String) -> Bool {
        (try? OpenFile(path, flags: covol_o_rdonly | covol_block_exclusive)) != nil
    }

    /// Where this namespace mounts a device, proc_pid_mountinfo(5).
    private static func mountPoints(_ number: String) -> [String] {
        guard let text = readSmallFile("/proc/self/mountinfo") else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 && fields[2] == number ? String(fields[4]) : nil
        }
    }

    /// The loop devices that have it behind them.
    private static func loopDevices(over geometry: Geometry) -> [String] {
        directoryNames("/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
            guard let text = readSmallFile("/sys/block/\(name)/loop/backing_file") else {
                return nil
            }
            let backing = text.hasSuffix("\n") ? String(text.dropLast()) : text
            guard isSame(backing, name, geometry) else { return nil }
            let number = readSmallFile("/sys/block/\(name)/dev")?.filter { $0 != "\n" } ?? ""
            let places = mountPoints(number)
            return "/dev/\(name) is attached to it"
                + (places.isEmpty ? "" : ", mounted at " + places.joined(separator: " and "))
        }
    }

    /// Compares by inode, not by name. Only where the name leads nowhere is the loop device itself
    /// asked: to open it may delay its owner's detach.
    private static func isSame(_ backing: String, _ loop: String, _ geometry: Geometry) -> Bool {
        let path = covol_o_path
        if let file = try? OpenFile(backing, flags: path), let status = try? file.status {
            return geometry.isBlockDevice
                ? status.mode & FileKind.mask == FileKind.blockDevice.rawValue
                    && status.rdev_major == geometry.identity.major
                    && status.rdev_minor == geometry.identity.minor
                : Geometry.Identity(
                    major: status.dev_major, minor: status.dev_minor, inode: status.inode)
                    == geometry.identity
        }
        guard !geometry.isBlockDevice, let file = try? OpenFile("/dev/\(loop)", flags: 0) else {
            return false
        }
        var flags: UInt32 = 0
        var (major, minor, inode): (UInt32, UInt32, UInt64) = (0, 0, 0)
        return covol_loop_status(file.number, &flags, &major, &minor, &inode) == 0
            && Geometry.Identity(major: major, minor: minor, inode: inode) == geometry.identity
    }
}
