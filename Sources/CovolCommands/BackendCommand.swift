import ArgumentParser
import Foundation
import Management

/// A command that the daemon carries out.
protocol BackendCommand: AsyncParsableCommand {
    var connection: ConnectionOptions { get }

    /// What the command does, on whatever implements the daemon's interface.
    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws
}

extension BackendCommand {
    func run() async throws {
        try await ManagementClient.withClient(socketPath: connection.socketPath) { client in
            try await perform(on: client, output: .current)
        }
    }
}

/// `--socket`.
struct ConnectionOptions: ParsableArguments {
    static let environmentVariable = "COVOL_SOCKET"
    static let defaultSocketPath = "/run/covolume/covold.sock"

    @Option(
        name: .customLong("socket"),
        help: ArgumentHelp(
            "The daemon's socket.",
            discussion: "The default is $\(Self.environmentVariable), else "
                + "\(Self.defaultSocketPath).",
            valueName: "path"))
    var socket: String?

    var socketPath: String {
        resolve(environment: ProcessInfo.processInfo.environment)
    }

    func resolve(environment: [String: String]) -> String {
        if let socket { return socket }
        guard let path = environment[Self.environmentVariable], !path.isEmpty else {
            return Self.defaultSocketPath
        }
        return path
    }

    func validate() throws {
        if socket?.isEmpty == true { throw ValidationError("--socket needs a path") }
    }
}

/// `--json`.
struct FormatOptions: ParsableArguments {
    @Flag(help: "Print JSON, with every field and exact numbers.")
    var json = false
}
