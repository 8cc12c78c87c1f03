import CLinux
import VolumeModel

/// How an extended attribute is set, setxattr(2).
public enum ExtendedAttributeSetting: Int32, Sendable {
    case createOrReplace = 0
    /// EEXIST where it exists.
    case create = 1
    /// ENODATA where it does not.
    case replace = 2
}

/// Extended attributes of any kind of file. The calls go by `/proc/self/fd`, because neither these
/// nor the newer `*xattrat` calls take an `O_PATH` descriptor.
extension HostVolume {
    /// An attribute's value; ENODATA where there is none.
    public func extendedAttribute(
        _ name: [UInt8], of handle: FileHandle
    ) throws(ErrorCode) -> [UInt8] {
        let name = try FileName.attribute(name)
        return try with(handle, .path) { fd throws(ErrorCode) in
            var value = [UInt8](repeating: 0, count: Limits.extendedAttributeMaximumBytes)
            let length = try call(
                covol_getxattr(Self.descriptorPath(fd), name, &value, value.count))
            value.removeLast(value.count - length)
            return value
        }
    }

    public func setExtendedAttribute(
        _ name: [UInt8], of handle: FileHandle, to value: [UInt8],
        setting: ExtendedAttributeSetting = .createOrReplace
    ) throws(ErrorCode) {
        let name = try FileName.attribute(name)
        guard value.count <= Limits.extendedAttributeMaximumBytes else { throw ErrorCode(7) }
        try with(handle, .path) { fd throws(ErrorCode) in
            _ = try call(
                covol_setxattr(
                    Self.descriptorPath(fd), name, value, value.count, setting.rawValue))
        }
    }

    /// The names of all attributes.
    public func extendedAttributeNames(of handle: FileHandle) throws(ErrorCode) -> [[UInt8]] {
        try with(handle, .path) { fd throws(ErrorCode) in
            // XATTR_LIST_MAX, linux/limits.h.
            var names = [CChar](repeating: 0, count: 65536)
            let length = try call(
                covol_listxattr(Self.descriptorPath(fd), &names, names.count))
            return names[..<length].split(separator: 0).map { $0.map(UInt8.init(bitPattern:)) }
        }
    }

    /// Removes an attribute; ENODATA where there is none.
    public func removeExtendedAttribute(
        _ name: [UInt8], of handle: FileHandle
    ) throws(ErrorCode) {
        let name = try FileName.attribute(name)
        try with(handle, .path) { fd throws(ErrorCode) in
            _ = try call(covol_removexattr(Self.descriptorPath(fd), name))
        }
    }
}
