import Glibc
import VolumeModel

/// Performs a call of `CLinux` that returns `-errno`, again where a signal interrupted it.
@discardableResult
func call(_ body: @autoclosure () -> Int32) throws(ErrorCode) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        if result != -EINTR { throw ErrorCode(-result) }
    }
}

/// As above, for calls that return a length or an offset.
@discardableResult
func call(_ body: @autoclosure () -> Int) throws(ErrorCode) -> Int {
    while true {
        let result = body()
        if result >= 0 { return result }
        if result != -Int(EINTR) { throw ErrorCode(Int32(truncatingIfNeeded: -result)) }
    }
}

extension ErrorCode {
    /// The C library's words for the number, strerror(3).
    var text: String {
        var buffer = [CChar](repeating: 0, count: 256)
        _ = strerror_r(number, &buffer, buffer.count)
        return String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// A name in a directory, checked and NUL-terminated. The empty name, `/` and NUL cannot reach the
/// kernel, so one name is always one step.
struct FileName {
    let cString: [CChar]

    init(_ bytes: [UInt8]) throws(ErrorCode) {
        guard !bytes.isEmpty else { throw .noEntry }
        guard bytes.count <= Limits.nameMaximumBytes else { throw .nameTooLong }
        guard !bytes.contains(where: { $0 == 0 || $0 == UInt8(ascii: "/") }) else { throw .invalid }
        cString = Self.terminated(bytes)
    }

    /// Any bytes without NUL, as the target of a symbolic link.
    static func target(_ bytes: [UInt8]) throws(ErrorCode) -> [CChar] {
        guard !bytes.isEmpty else { throw .noEntry }
        guard bytes.count <= Limits.symbolicLinkMaximumBytes else { throw .nameTooLong }
        guard !bytes.contains(0) else { throw .invalid }
        return terminated(bytes)
    }

    /// The name of an extended attribute: 1 to 255 bytes (`XATTR_NAME_MAX`) without NUL.
    static func attribute(_ bytes: [UInt8]) throws(ErrorCode) -> [CChar] {
        guard !bytes.isEmpty, bytes.count <= 255 else { throw .outOfRange }
        guard !bytes.contains(0) else { throw .invalid }
        return terminated(bytes)
    }

    private static func terminated(_ bytes: [UInt8]) -> [CChar] {
        bytes.map(CChar.init(bitPattern:)) + [0]
    }
}
