/// One mount of /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct MountInfo: Equatable {
    let major: UInt32
    let minor: UInt32
    let mountPoint: String
    /// The type with its subtype, such as `fuse.covolume`.
    let fileSystemType: String
    let source: String

    var isFUSE: Bool { fileSystemType == "fuse" || fileSystemType.hasPrefix("fuse.") }

    /// One line, or nil when it is not one. Space, tab, newline and backslash come as octal.
    init?(parsing line: Substring) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        // Optional fields stand between the sixth and a lone hyphen.
        guard fields.count > 6, let separator = fields[6...].firstIndex(of: "-"),
            fields.count > separator + 2
        else {
            return nil
        }
        let device = fields[2].split(separator: ":")
        guard device.count == 2, let major = UInt32(device[0]), let minor = UInt32(device[1])
        else {
            return nil
        }
        self.major = major
        self.minor = minor
        self.mountPoint = Self.unescape(fields[4])
        self.fileSystemType = Self.unescape(fields[separator + 1])
        self.source = Self.unescape(fields[separator + 2])
    }

    static func parse(_ text: String) -> [MountInfo] {
        text.split(separator: "\n").compactMap(MountInfo.init(parsing:))
    }

    /// The mounts of this process' namespace. Reading them asks no file system anything.
    static func current() throws(LabError) -> [MountInfo] {
        parse(try SystemFile.text("/proc/self/mountinfo"))
    }

    /// The mounts strictly below a directory, the innermost and latest first.
    static func below(_ directory: String) throws(LabError) -> [MountInfo] {
        let prefix = directory + "/"
        return try current().filter { $0.mountPoint.hasPrefix(prefix) }.reversed()
    }

    private static func unescape(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        let bytes = Array(field.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                let code = octal(bytes[(index + 1)...(index + 3)])
            {
                result.append(code)
                index += 4
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func octal(_ digits: ArraySlice<UInt8>) -> UInt8? {
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value * 8 + Int(digit - UInt8(ascii: "0"))
        }
        return UInt8(exactly: value)
    }
}
