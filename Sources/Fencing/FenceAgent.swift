import Glibc

/// A power fence: a program of the `fence-agents` package, told what to do by lines `key=value` on
/// its standard input (the FenceAgentAPI of ClusterLabs).
///
/// `off` must succeed and `status` must then say off. Blocks its thread for a bounded time.
public struct FenceAgent: Sendable, Equatable, Codable {
    /// An absolute path, or a name in `/usr/sbin`, such as `fence_ipmilan`.
    public let program: String
    /// What the agent needs for one node: `ip`, `username`, `plug` and so on. Prefer the agents'
    /// `password_script` to a password here.
    public let options: [String: String]
    private let timeoutSeconds: Double

    /// - Throws: `invalidConfiguration`.
    public init(
        program: String, options: [String: String],
        timeoutSeconds: Double = FencingLimits.agentTimeoutSeconds
    ) throws(FenceError) {
        self.program = program
        self.options = options
        self.timeoutSeconds = timeoutSeconds
        try check()
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            program: try container.decode(String.self, forKey: .program),
            options: try container.decode([String: String].self, forKey: .options))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(program, forKey: .program)
        try container.encode(options, forKey: .options)
    }

    private enum CodingKeys: String, CodingKey { case program, options }

    /// Whether the program is there and may be run; throws why not.
    public func checkInstalled() throws(FenceError) {
        guard access(path, X_OK) == 0 else {
            throw .unsupported(
                "\(path) cannot be run: \(text(ofErrno: errno)). Install the package fence-agents")
        }
    }

    /// Turns the node's machine off and proves it.
    ///
    /// - Parameters:
    ///   - node: its name, for the texts.
    ///   - pause: waits between two looks at the state, in seconds.
    public func fence(
        node: String, pause: (Double) -> Void = { usleep(UInt32($0 * 1e6)) }
    ) -> FenceOutcome {
        do throws(FenceError) {
            let off = try run("off")
            guard off.exitStatus == 0 else {
                return .notProven("\(name) could not turn \(node) off: \(off.summary)")
            }
            var last = ""
            for attempt in 1...FencingLimits.agentStatusAttemptsMaximum {
                if attempt > 1 { pause(FencingLimits.agentStatusPauseSeconds) }
                let status = try run("status")
                if status.exitStatus == AgentStatus.off {
                    return .proven("\(name) turned \(node) off, and its status is off")
                }
                last = status.summary
            }
            return .notProven(
                "\(name) said that it turned \(node) off, but its status is not off: \(last)")
        } catch {
            return .notProven("\(name), \(node): \(error)")
        }
    }

    /// What the agents answer to `status`, by their exit status. Anything else is an error of
    /// theirs.
    private enum AgentStatus {
        static let off: Int32 = 2
    }

    private var path: String { program.hasPrefix("/") ? program : "/usr/sbin/" + program }
    private var name: String { String(program.split(separator: "/").last ?? "the fence agent") }

    private func run(_ action: String) throws(FenceError) -> AgentRun {
        let lines = options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }
        return try AgentRun.run(
            path: path, input: Array((lines.joined() + "action=\(action)\n").utf8),
            timeoutSeconds: timeoutSeconds)
    }

    private func check() throws(FenceError) {
        guard program.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }),
            program.hasPrefix("/") || (!program.isEmpty && !program.contains("/"))
        else {
            throw .invalidConfiguration(
                "\(program.debugDescription) is no fence agent: give an absolute path, or a name "
                    + "in /usr/sbin such as fence_ipmilan")
        }
        guard options.count <= FencingLimits.agentOptionsMaximum else {
            throw .invalidConfiguration("\(program): more than 64 options")
        }
        for (key, value) in options {
            let isWord = key.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
            }
            guard isWord, !key.isEmpty, key != "action", key != "option" else {
                throw .invalidConfiguration("\(program): \(key.debugDescription) is no option")
            }
            // A line's end would be one more option, `action` for one.
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }), value.utf8.count <= 1024
            else {
                throw .invalidConfiguration("\(program): the value of \(key) is not one line")
            }
        }
    }
}
