import Foundation

/// Where a command's words go: the process's streams, or a test's.
public struct CommandOutput: Sendable {
    /// Takes a result, whole lines without the last line's end.
    public let write: @Sendable (String) -> Void
    /// Takes a message or a step of progress, likewise.
    public let error: @Sendable (String) -> Void

    public init(
        write: @escaping @Sendable (String) -> Void, error: @escaping @Sendable (String) -> Void
    ) {
        self.write = write
        self.error = error
    }

    /// Standard output and standard error.
    public static let standard = CommandOutput(
        write: { put($0, FileHandle.standardOutput) }, error: { put($0, FileHandle.standardError) })

    /// The output of the command that runs in this task.
    @TaskLocal static var current = CommandOutput.standard

    private static func put(_ text: String, _ handle: FileHandle) {
        // A reader that has gone away (`covol volume list | head -1`) is no error of ours.
        try? handle.write(contentsOf: Data((text + "\n").utf8))
    }
}
