import Glibc
import Testing

/// What a system call did: what `ok` and `fails` hold against what it should have done.
struct Outcome {
    /// The call with its arguments and its caller, as messages show it.
    let call: String
    /// Its value, or -errno.
    let result: Int
    /// The bytes of the arguments that the kernel filled.
    let data: [UInt8]
    let report: Report

    /// The errno of a call that did not end in time.
    static let hung: Int32 = 9999

    var error: Int32 { result < 0 ? Int32(-result) : 0 }
    var isOK: Bool { result >= 0 }

    /// The call must have succeeded.
    /// - Returns: its value.
    @discardableResult
    func ok(_ note: String = "", at location: SourceLocation = #_sourceLocation) -> Int {
        if !isOK { fail("success", note, at: location) }
        return result
    }

    /// The call must have returned this value.
    func returns(
        _ value: Int, _ note: String = "", at location: SourceLocation = #_sourceLocation
    ) {
        if result != value { fail("\(value)", note, at: location) }
    }

    /// The call must have failed, with one of these.
    func fails(
        _ errors: Int32..., note: String = "", at location: SourceLocation = #_sourceLocation
    ) {
        if !errors.contains(error) {
            fail(errors.map(Self.name).joined(separator: " or "), note, at: location)
        }
    }

    /// The call must have succeeded and brought exactly these bytes.
    func brings(
        _ bytes: [UInt8], _ note: String = "", at location: SourceLocation = #_sourceLocation
    ) {
        guard isOK, result == bytes.count else {
            return fail("\(bytes.count) bytes", note, at: location)
        }
        // Comparing in the library first: a loop here takes long in a debug build.
        let isEqual = data.withUnsafeBytes { data in
            bytes.withUnsafeBytes {
                $0.isEmpty || memcmp(data.baseAddress!, $0.baseAddress!, $0.count) == 0
            }
        }
        guard !isEqual else { return }
        let got = data.prefix(result)
        if let place = zip(got, bytes).enumerated().first(where: { $1.0 != $1.1 })?.offset {
            fail("byte \(place) to be \(bytes[place]), not \(data[place])", note, at: location)
        }
    }

    private func fail(_ expected: String, _ note: String, at location: SourceLocation) {
        let got = isOK ? "\(result)" : Self.name(error)
        report.fail(
            "\(call): expected \(expected), got \(got)" + (note.isEmpty ? "" : " (\(note))"),
            at: location)
    }

    static func name(_ error: Int32) -> String {
        if error == hung { return "no answer in time" }
        return names[error] ?? "errno \(error) (\(String(cString: strerror(error))))"
    }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EINTR: "EINTR", EIO: "EIO", ENXIO: "ENXIO",
        E2BIG: "E2BIG", EBADF: "EBADF", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM", EACCES: "EACCES",
        EBUSY: "EBUSY", EEXIST: "EEXIST", EXDEV: "EXDEV", ENODEV: "ENODEV", ENOTDIR: "ENOTDIR",
        EISDIR: "EISDIR", EINVAL: "EINVAL", ENOTTY: "ENOTTY", ETXTBSY: "ETXTBSY", EFBIG: "EFBIG",
        ENOSPC: "ENOSPC", EROFS: "EROFS", EMLINK: "EMLINK", ERANGE: "ERANGE",
        EDEADLK: "EDEADLK", ENAMETOOLONG: "ENAMETOOLONG", ENOSYS: "ENOSYS",
        ENOTEMPTY: "ENOTEMPTY", ELOOP: "ELOOP", ENODATA: "ENODATA", EPROTO: "EPROTO",
        EOVERFLOW: "EOVERFLOW", EOPNOTSUPP: "EOPNOTSUPP", ESTALE: "ESTALE",
        ECONNABORTED: "ECONNABORTED", ENOTCONN: "ENOTCONN", EDQUOT: "EDQUOT",
    ]
}
