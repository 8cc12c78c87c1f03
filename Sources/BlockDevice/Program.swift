import CLinux
import Glibc
import VolumeModel

/// Runs a system administrator's program to its end.
enum Program {
    struct Result {
        let exitStatus: Int32
        /// Standard output and standard error together, the first 64 KiB.
        let output: String
    }

    private static let outputMaximumBytes = 64 << 10
    /// Where such programs are, whatever the caller's own environment says.
    private static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]

    /// Blocks until the program has ended and closed its output. It is found in the usual
    /// directories and gets no input, posix_spawn(3).
    static func run(
        _ name: String, _ arguments: [String]
    ) throws(BlockDeviceError) -> Result {
        let directories = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]
        guard let path = directories.map({ $0 + name }).first(where: { access($0, X_OK) == 0 })
        else {
            throw BlockDeviceError("\(name) is not installed on this node")
        }
        do throws(ErrorCode) {
            return try run(path: path, arguments: [name] + arguments)
        } catch {
            throw BlockDeviceError("\(path) could not be run", code: error)
        }
    }

    private static func run(path: String, arguments: [String]) throws(ErrorCode) -> Result {
        var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
        try checked(covol_block_pipe(&readEnd, &writeEnd))
        let reader = OpenFile(owning: readEnd)
        let writer = OpenFile(owning: writeEnd)

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, writer.number, 1)
        posix_spawn_file_actions_adddup2(&actions, writer.number, 2)

        let (argv, envp) = (cStrings(arguments), cStrings(environment))
        defer { for string in argv + envp { free(string) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, path, &actions, nil, argv, envp)
        // Our end of the pipe must go, or its reader never sees the end.
        _ = consume writer
        guard result == 0 else { throw ErrorCode(result) }
        let output = drain(reader)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { throw ErrorCode(errno) }
        }
        let signal = status & 0x7f
        return Result(
            exitStatus: signal == 0 ? (status >> 8) & 0xff : 128 + signal, output: output)
    }

    private static func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        strings.map { strdup($0) } + [nil]
    }

    /// Reads to the end, and keeps the beginning.
    private static func drain(_ reader: borrowing OpenFile) -> String {
        var kept: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let got = read(reader.number, &buffer, buffer.count)
            if got < 0 && errno == EINTR { continue }
            if got <= 0 { break }
            kept += buffer[..<min(got, outputMaximumBytes - kept.count)]
        }
        return String(decoding: kept, as: UTF8.self)
    }
}
