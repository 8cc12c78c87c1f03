import CLinux
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

    deinit { close(number) }
}

/// A pipe, close-on-exec.
struct Pipe: ~Copyable {
    let readEnd: Descriptor
    let writeEnd: Descriptor

    init() throws(LabError) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = covol_pipe(&ends.0, &ends.1)
        guard result == 0 else { throw LabError.system("pipe2", "", error: -result) }
        self.readEnd = Descriptor(owning: ends.0)
        self.writeEnd = Descriptor(owning: ends.1)
    }
}
