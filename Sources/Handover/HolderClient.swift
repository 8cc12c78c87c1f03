import CLinux
import Glibc
import Synchronization
import VolumeModel

/// A daemon's connection to its node's holder. What it keeps or takes is its own as long as the
/// connection lasts; after that, the holder waits for the next daemon. Any thread; a call waits 5 s at
/// most.
public final class HolderClient: Sendable {
    static let timeoutMilliseconds: Int32 = 5000
    private let socket: Mutex<Int32>

    /// Connects to the holder at `path`; where there is none, starts `program` (an absolute path to
    /// `covol-holder`) with that socket first. It outlives this process, in a session of its own.
    public init(
        socket path: String, program: String, graceSeconds: Int
    ) throws(ErrorCode) {
        var result = covol_handover_connect(path, Self.timeoutMilliseconds)
        if result < 0 {
            try Self.start(program, path, graceSeconds)
            for _ in 0..<500 where result < 0 {
                usleep(10_000)
                result = covol_handover_connect(path, Self.timeoutMilliseconds)
            }
        }
        guard result >= 0 else { throw ErrorCode(-result) }
        socket = Mutex(result)
    }

    deinit { _ = socket.withLock { close($0) } }

    /// Has the holder keep descriptors, the first of them one of /dev/fuse, and a record of what they are.
    public func keep(
        _ name: String, record: [UInt8], descriptors: [Int32]
    ) throws(ErrorCode) {
        guard name.utf8.count <= HolderMessage.nameMaximumBytes,
            record.count <= HolderMessage.recordMaximumBytes,
            descriptors.count <= HolderSocket.descriptorsMaximum
        else { throw .invalid }
        let answer = try call(HolderMessage(.keep, name: name, record: record), descriptors)
        for descriptor in answer.1 { close(descriptor) }
    }

    /// What was kept and nobody serves.
    public func names() throws(ErrorCode) -> [String] {
        let (answer, descriptors) = try call(HolderMessage(.list), [])
        for descriptor in descriptors { close(descriptor) }
        return answer.record.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// What a process before kept: the descriptors are the caller's. ENOENT: nothing, or somebody else
    /// has it.
    public func take(
        _ name: String
    ) throws(ErrorCode) -> (record: [UInt8], descriptors: [Int32]) {
        let (answer, descriptors) = try call(HolderMessage(.take, name: name), [])
        return (answer.record, descriptors)
    }

    /// It is over, or given up.
    public func drop(_ name: String) throws(ErrorCode) {
        for descriptor in try call(HolderMessage(.drop, name: name), []).1 { close(descriptor) }
    }

    private func call(
        _ message: HolderMessage, _ descriptors: [Int32]
    ) throws(ErrorCode) -> (HolderMessage, [Int32]) {
        try socket.withLock { (socket) throws(ErrorCode) in
            let sent = HolderSocket.send(message, descriptors, to: socket, waits: true)
            guard sent == 0 else { throw ErrorCode(-sent) }
            guard let answer = HolderSocket.receive(from: socket) else {
                // A late answer must not be taken for the next one's.
                shutdown(socket, Int32(SHUT_RDWR))
                throw .notConnected
            }
            guard answer.0.kind == .done else {
                for descriptor in answer.1 { close(descriptor) }
                throw message.kind == .keep ? .noMemory : .noEntry
            }
            return answer
        }
    }

    private static func start(
        _ program: String, _ path: String, _ graceSeconds: Int
    ) throws(ErrorCode) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw ErrorCode(errno) }
        defer { close(null) }
        var arguments: [UnsafeMutablePointer<CChar>?] = [program, path, "\(graceSeconds)"].map {
            (text: String) in strdup(text)
        }
        arguments.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        defer { for argument in arguments { free(argument) } }
        let pid = arguments.withUnsafeMutableBufferPointer { arguments in
            environment.withUnsafeMutableBufferPointer { environment in
                var spawn = covol_spawn(
                    path: UnsafePointer(arguments[0]), argv: arguments.baseAddress,
                    envp: environment.baseAddress,
                    directory: nil, netns_fd: -1, stdin_fd: null, stdout_fd: null, stderr_fd: 2)
                return covol_spawn(&spawn)
            }
        }
        guard pid > 0 else { throw ErrorCode(-pid) }
    }
}
