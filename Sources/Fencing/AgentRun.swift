import CLinux
import Glibc

/// One run of a fence agent, to its end or to its time's.
struct AgentRun {
    let exitStatus: Int32
    /// The end of what it wrote, without control characters.
    let output: String

    /// For messages. An agent's output can be long, and its end says what went wrong.
    var summary: String {
        let words = output.isEmpty ? "it said nothing" : output
        return "exit status \(exitStatus): \(words)"
    }

    /// Blocks until the program has ended. What it started is killed with it.
    ///
    /// - Throws: `unsupported` where it cannot be run, `timedOut`.
    static func run(
        path: String, input: [UInt8], timeoutSeconds: Double
    ) throws(FenceError) -> AgentRun {
        let inputFile = try Handle(covol_memfd("fence-agent"), path)
        guard
            covol_pwrite(inputFile.number, input, input.count, 0) == input.count
        else { throw .unsupported("\(path): its input could not be written") }
        var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
        guard covol_pipe(&readEnd, &writeEnd) == 0 else {
            throw .unsupported("\(path): no pipe for its output")
        }
        let reader = try Handle(readEnd, path)
        let writer = try Handle(writeEnd, path)
        let pid = start(path, input: inputFile.number, output: writer.number)
        // Ours must go, or the output has no end.
        _ = consume writer
        guard pid > 0 else {
            throw .unsupported("\(path) cannot be run: \(text(ofErrno: -pid))")
        }
        let deadline = BootClock.nowSeconds + timeoutSeconds
        var output: [UInt8] = []
        drain(reader.number, into: &output, until: deadline)
        let status = reap(pid, until: deadline)
        // The agent leads a session of its own: nothing that it started stays.
        kill(-pid, SIGKILL)
        guard let status else {
            _ = reap(pid, until: BootClock.nowSeconds + 1)
            throw .timedOut("\(path) was not done after \(timeoutSeconds) s, and was killed")
        }
        return AgentRun(exitStatus: status, output: printable(output))
    }

    private static func start(_ path: String, input: Int32, output: Int32) -> Int32 {
        let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]
        let argv: [UnsafeMutablePointer<CChar>?] = [strdup(path), nil]
        let envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        let root = strdup("/")
        defer { for string in argv + envp + [root] { free(string) } }
        return argv.withUnsafeBufferPointer { arguments in
            envp.withUnsafeBufferPointer { variables in
                // Sound: covol_spawn copies nothing out of this call, it returns after the exec.
                var spawn = covol_spawn()
                spawn.path = UnsafePointer(argv[0])
                spawn.argv = arguments.baseAddress
                spawn.envp = variables.baseAddress
                spawn.directory = UnsafePointer(root)
                (spawn.netns_fd, spawn.stdin_fd) = (-1, input)
                (spawn.stdout_fd, spawn.stderr_fd) = (output, output)
                return withUnsafePointer(to: spawn) { covol_spawn($0) }
            }
        }
    }

    /// Reads to the end of the output, and keeps its end.
    private static func drain(_ number: Int32, into output: inout [UInt8], until deadline: Double) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let leftSeconds = deadline - BootClock.nowSeconds
            guard leftSeconds > 0 else { return }
            var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(leftSeconds * 1000) + 1) > 0 else { continue }
            let count = read(number, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            output += buffer[..<count]
            output.removeFirst(max(0, output.count - FencingLimits.agentOutputMaximumBytes))
        }
    }

    /// The exit status, 128 and the signal's number where a signal ended it; nil where it still
    /// runs.
    private static func reap(_ pid: Int32, until deadline: Double) -> Int32? {
        while true {
            var (code, signal): (Int32, Int32) = (0, 0)
            let result = covol_reap(pid, &code, &signal)
            if result != 0 { return result < 0 ? 255 : signal == 0 ? code : 128 + signal }
            guard BootClock.nowSeconds < deadline else { return nil }
            usleep(10_000)
        }
    }

    private static func printable(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.suffix(512), as: UTF8.self)
        let scalars = text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
        let words = String(String.UnicodeScalarView(scalars))
            .split(separator: " ", omittingEmptySubsequences: true)
        return words.joined(separator: " ")
    }

    /// A descriptor, closed with its owner.
    private struct Handle: ~Copyable {
        let number: Int32

        init(_ number: Int32, _ path: String) throws(FenceError) {
            guard number >= 0 else {
                throw .unsupported("\(path): no descriptor: \(text(ofErrno: -number))")
            }
            self.number = number
        }

        deinit { close(number) }
    }
}
