/// What a command that ended left.
public struct CommandResult: Sendable {
    /// The exit status, or 128 and the number of the signal that ended it, as shells count.
    public let status: Int32
    public let stdoutBytes: [UInt8]
    public let stderrBytes: [UInt8]

    public var stdout: String { String(decoding: stdoutBytes, as: UTF8.self) }
    public var stderr: String { String(decoding: stderrBytes, as: UTF8.self) }

    /// Standard output without the newlines at its end.
    public var line: String {
        var text = Substring(stdout)
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
