extension FUSEDecoder {
    /// Requests that name something new.
    func names(
        _ opcode: FUSEOpcode, _ fields: inout FUSEFields
    ) throws(FUSEDecodeError) -> FUSERequest {
        switch opcode {
        case .symlink:
            return .symlink(name: try fields.name(), target: try fields.linkTarget())
        case .mknod:
            let mode = try fields.u32()
            let device = try fields.u32()
            let umask = try fields.u32()
            try fields.skip(4)
            return .mknod(
                name: try fields.name(), mode: mode, device: Self.device(device), umask: umask)
        case .mkdir:
            let mode = try fields.u32()
            let umask = try fields.u32()
            return .mkdir(name: try fields.name(), mode: mode, umask: umask)
        case .rename, .rename2:
            let parent = try fields.u64()
            var flags: UInt32 = 0
            if opcode == .rename2 {
                flags = try fields.u32()
                try fields.skip(4)
            }
            return .rename(
                name: try fields.name(), newParent: parent, newName: try fields.name(),
                flags: flags)
        case .link:
            let node = try fields.u64()
            return .link(oldNode: node, newName: try fields.name())
        default:
            let flags = try fields.u32()
            let mode = try fields.u32()
            let umask = try fields.u32()
            let openFlags = try fields.u32()
            // A TMPFILE comes with a name that means nothing.
            if opcode == .tmpfile {
                return .tmpfile(flags: flags, mode: mode, umask: umask, openFlags: openFlags)
            }
            return .create(
                name: try fields.name(), flags: flags, mode: mode, umask: umask,
                openFlags: openFlags)
        }
    }

    /// The kernel's 32-bit form: minor 20 bits in two pieces, major 12 bits (`new_decode_dev`).
    static func device(_ number: UInt32) -> FUSEDevice {
        FUSEDevice(
            major: (number & 0xfff00) >> 8, minor: (number & 0xff) | ((number >> 12) & 0xfff00))
    }

    /// The inverse (`new_encode_dev`).
    static func deviceNumber(major: UInt32, minor: UInt32) -> UInt32 {
        (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)
    }
}
