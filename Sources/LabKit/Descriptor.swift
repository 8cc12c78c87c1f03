import Glibc

/// A file descriptor with one owner, closed when that goes.
struct Descriptor: ~Copyable {
    let number: Int32

    init(owning number: Int32) {
        precondition(number >= 0, "not a descriptor")
        self.number = number
    }

    /// Opens a file, close-on-exec. `mode` counts when `flags` create it.
    init(
        opening path: String, flags: Int32 = O_RDONLY, mode: mode_t = 0o600
    ) throws(LabError) {
        var number: Int32
        repeat {
            number = open(path, flags | O_CLOEXEC, mode)
        } while number < 0 && errno == EINTR
        guard number >= 0 else { throw LabError.system("open", path) }
        self.number = number
    }

    /// Both ends of a pipe, close-on-exec.
    static func pipe() throws(LabError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw LabError.system("pipe2", "") }
        return (ends[0], ends[1])
    }

    deinit { close(number) }
}
