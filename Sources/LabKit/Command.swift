import CLinux
import Glibc

/// A program to run, with everything that it gets: nothing else is inherited.
public struct Command: Sendable {
    /// The program and its arguments. A program without a slash is looked up in the
    /// environment's PATH.
    public var words: [String]
    public var environment: [String: String]
    public var workingDirectory: String?
    /// The name of the network namespace to run in, of those in /run/netns. The mount
    /// namespace stays the caller's.
    public var networkNamespace: String?
    /// What it reads from standard input.
    public var input: [UInt8]
    /// How long it may take before it is killed, in seconds.
    public var timeoutSeconds: Double

    public init(
        _ words: [String], environment: [String: String] = Command.callerEnvironment,
        workingDirectory: String? = nil, networkNamespace: String? = nil, input: [UInt8] = [],
        timeoutSeconds: Double = LabLimits.commandSeconds
    ) {
        precondition(!words.isEmpty, "a command has a program")
        self.words = words
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.networkNamespace = networkNamespace
        self.input = input
        self.timeoutSeconds = timeoutSeconds
    }

    /// How messages show it.
    public var shown: String { words.joined(separator: " ") }

    /// This process' environment, as it was when first asked for.
    public static let callerEnvironment: [String: String] = {
        var variables: [String: String] = [:]
        guard let bytes = try? SystemFile.bytes("/proc/self/environ") else { return variables }
        for entry in bytes.split(separator: 0) {
            let text = String(decoding: entry, as: UTF8.self)
            guard let sign = text.firstIndex(of: "=") else { continue }
            variables[String(text[..<sign])] = String(text[text.index(after: sign)...])
        }
        return variables
    }()

    /// The program's path, from PATH if it has no slash.
    func program() throws(LabError) -> String {
        let name = words[0]
        guard !name.contains("/") else { return name }
        for directory in (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
            let path = "\(directory)/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        throw LabError(.missingBinary, "\(name): no such program in PATH")
    }

    /// Starts it as the leader of a session of its own. The caller ends and reaps it.
    func start(input: Int32, output: Int32, errors: Int32) throws(LabError) -> Int32 {
        let program = try program()
        var namespaceNumber: Int32 = -1
        if let networkNamespace {
            namespaceNumber = try NetworkNamespace.open(networkNamespace)
        }
        defer { if namespaceNumber >= 0 { close(namespaceNumber) } }
        let variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
        let pid = withCStrings(words) { argv in
            withCStrings(variables) { envp in
                program.withCString { path in
                    withOptionalCString(workingDirectory) { directory in
                        var spawn = covol_spawn(
                            path: path, argv: argv, envp: envp, directory: directory,
                            netns_fd: namespaceNumber, stdin_fd: input, stdout_fd: output,
                            stderr_fd: errors)
                        return covol_spawn(&spawn)
                    }
                }
            }
        }
        guard pid > 0 else { throw LabError.system("cannot start", shown, error: -pid) }
        return pid
    }
}

/// The strings as C wants them: pointers with a NULL at the end, valid within `body`.
func withCStrings<Value>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
) -> Value {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { body(UnsafePointer($0.baseAddress!)) }
}

private func withOptionalCString<Value>(
    _ string: String?, _ body: (UnsafePointer<CChar>?) -> Value
) -> Value {
    guard let string else { return body(nil) }
    return string.withCString { body($0) }
}
