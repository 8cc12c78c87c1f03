import CLinux
import Foundation
import LabKit
import Testing

/// A process that makes system calls for a check, as a user of its own, with the check's
/// directory as its working directory.
///
/// The test itself never touches a mount: when a call does not end in time, the mount is aborted,
/// the process killed, and the call reported. Used by one thread.
final class Caller {
    let name: String
    let pid: Int32
    let report: Report
    private let seat: Seat
    private var requests: Int32
    private let results: Int32
    private var pending: [(call: String, data: Int)] = []

    static let timeoutSeconds: Double = 20

    /// - Parameter program: another copy of the helper, to run it from a volume.
    init(
        directory: String, user: User = .root, seat: Seat, report: Report, program: String? = nil
    ) throws {
        let path = try program ?? Caller.helper()
        var input: (read: Int32, write: Int32) = (-1, -1)
        var output: (read: Int32, write: Int32) = (-1, -1)
        guard covol_pipe(&input.read, &input.write) == 0,
            covol_pipe(&output.read, &output.write) == 0
        else {
            throw LabError(.systemCall, "cannot make pipes")
        }
        let words =
            [path, directory, "\(user.uid)", "\(user.gid)"] + user.groups.map { "\($0)" }
        let argv = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        let pid = argv.withUnsafeBufferPointer { argv in
            [UnsafeMutablePointer<CChar>?.none].withUnsafeBufferPointer { environment in
                path.withCString { path in
                    var spawn = covol_spawn(
                        path: path, argv: argv.baseAddress, envp: environment.baseAddress,
                        directory: nil, netns_fd: -1, stdin_fd: input.read, stdout_fd: output.write,
                        stderr_fd: 2)
                    return covol_spawn(&spawn)
                }
            }
        }
        Glibc.close(input.read)
        Glibc.close(output.write)
        self.name = user.uid == 0 ? "" : " as \(user.uid):\(user.gid)"
        self.pid = pid
        self.report = report
        self.seat = seat
        requests = input.write
        results = output.read
        guard pid > 0 else {
            throw LabError(.systemCall, "cannot start \(path): \(String(cString: strerror(-pid)))")
        }
        pending = [("chdir \(directory)", 0)]
        finish().ok()
    }

    deinit { end() }

    /// Ends the process as SIGKILL does, and waits until it is gone.
    func end() {
        guard requests >= 0 else { return }
        Glibc.close(requests)
        Glibc.close(results)
        requests = -1
        kill(pid, SIGKILL)
        var code: Int32 = 0
        var signal: Int32 = 0
        let deadline = Date().addingTimeInterval(Self.timeoutSeconds)
        while covol_reap(pid, &code, &signal) == 0, Date() < deadline { usleep(1000) }
    }

    /// Interrupts a call that waits.
    func interrupt() { kill(pid, SIGUSR1) }

    /// Makes a system call and waits for its end.
    func call(
        _ name: String, _ arguments: Argument..., location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        start(name, arguments)
        return finish(at: location)
    }

    /// Starts a system call, whose end `finish` waits for.
    func start(_ name: String, _ arguments: [Argument]) {
        let shown = arguments.map(\.shown).joined(separator: ", ")
        var frame = [UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(arguments.count)]
        for argument in arguments { argument.encode(into: &frame) }
        frame = encoded(UInt32(frame.count)) + frame
        pending.append(
            ("\(name)(\(shown))\(self.name)", arguments.map(\.returnedBytes).reduce(0, +)))
        guard requests >= 0, !report.isHung else { return }
        frame.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let put = Glibc.write(requests, bytes.baseAddress! + done, bytes.count - done)
                if put <= 0 { break }
                done += put
            }
        }
    }

    /// Whether the started call has ended.
    func hasFinished(withinSeconds seconds: Double) -> Bool {
        var events = pollfd(fd: results, events: Int16(POLLIN), revents: 0)
        return poll(&events, 1, Int32(seconds * 1000)) > 0
    }

    /// The result of the earliest call that was started and not yet finished.
    func finish(
        withinSeconds seconds: Double = Caller.timeoutSeconds,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        let (call, data) = pending.removeFirst()
        func outcome(_ result: Int, _ data: [UInt8]) -> Outcome {
            Outcome(call: call, result: result, data: data, report: report)
        }
        let unknown = outcome(-Int(Outcome.hung), [UInt8](repeating: 0, count: data))
        guard !report.isHung else { return unknown }
        let deadline = Date().addingTimeInterval(seconds)
        guard let head = receive(4, until: deadline),
            let body = receive(Int(decoded(head, at: 0, as: UInt32.self)), until: deadline)
        else {
            report.hang(
                "\(call): no answer in \(Int(seconds)) s; the mounts were aborted",
                at: location)
            seat.abort()
            return unknown
        }
        return outcome(Int(decoded(body, at: 0, as: Int64.self)), Array(body.dropFirst(8)))
    }

    private func receive(_ count: Int, until deadline: Date) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            guard hasFinished(withinSeconds: max(0, deadline.timeIntervalSinceNow)) else {
                return nil
            }
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(results, $0.baseAddress! + done, count - done)
            }
            guard got > 0 else { return nil }
            done += got
        }
        return bytes
    }

    /// `posix-helper`, which the build puts beside the tests.
    static func helper() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: own).deletingLastPathComponent().path + "/posix-helper"
        guard Glibc.access(path, X_OK) == 0 else {
            throw LabError(.missingBinary, "\(path) is missing: `swift build` makes it")
        }
        return path
    }
}

/// Who makes a call. The numbers need no entry in /etc/passwd.
struct User: Hashable, Sendable {
    var uid: Int
    var gid: Int
    var groups: [Int] = []

    static let root = User(uid: 0, gid: 0)
    static let alice = User(uid: 65501, gid: 65501)
    static let bob = User(uid: 65502, gid: 65502)
}
