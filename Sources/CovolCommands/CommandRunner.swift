import ArgumentParser
import Foundation
import Management

/// Runs a command line and turns its outcome into messages and an exit status.
public enum CommandRunner {
    /// The exit statuses of covol; a command that runs another program exits with that one's.
    public enum ExitStatus {
        public static let done: Int32 = 0
        /// The command was understood and not carried out.
        public static let failed: Int32 = 1
        /// The command line is wrong.
        public static let usage: Int32 = 2
        /// `EX_UNAVAILABLE` of sysexits.h(3head): the daemon cannot be reached.
        public static let unreachable: Int32 = 69
    }

    /// Runs the process's own command line and ends the process.
    public static func main<Root: ParsableCommand>(_ root: Root.Type) async -> Never {
        exit(await run(root, arguments: Array(CommandLine.arguments.dropFirst())))
    }

    /// - Returns: the exit status.
    public static func run<Root: ParsableCommand>(
        _ root: Root.Type, arguments: [String], output: CommandOutput = .standard
    ) async -> Int32 {
        do {
            try await CommandOutput.$current.withValue(output) {
                var command = try root.parseAsRoot(arguments)
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    try command.run()
                }
            }
            return ExitStatus.done
        } catch {
            return report(error, root, output)
        }
    }

    private static func report<Root: ParsableCommand>(
        _ error: any Error, _ root: Root.Type, _ output: CommandOutput
    ) -> Int32 {
        switch error {
        case let code as ExitCode:
            return code.rawValue
        case let unreachable as ManagementUnreachable:
            output.error("covol: \(unreachable)")
            return ExitStatus.unreachable
        case is CancellationError:
            output.error("covol: stopped")
            return ExitStatus.failed
        default: break
        }
        switch root.exitCode(for: error) {
        case .success:
            output.write(root.fullMessage(for: error))
            return ExitStatus.done
        case .validationFailure:
            let message = root.fullMessage(for: error)
            let prefix = "Error: "
            let text = message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
            output.error("covol: \(text)")
            return ExitStatus.usage
        default:
            output.error("covol: \(error)")
            return ExitStatus.failed
        }
    }
}
