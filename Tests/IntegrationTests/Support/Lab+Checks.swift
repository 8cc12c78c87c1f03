import Foundation
import LabKit

/// What a test found wrong, for people to read.
struct Finding: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw Finding(message()) }
}

extension Lab {
    /// The node that coordinates a volume.
    func coordinator(of volume: String = "Volume1") async throws -> LabNode {
        let rows = try await node(1).volumeStates()
        guard let name = rows.first(where: { $0.volume == volume })?.coordinator,
            let node = nodes.first(where: { $0.name == name })
        else { throw Finding("\(volume) has no coordinator among \(rows)") }
        return node
    }

    /// The nodes that do not coordinate the lab's volume, in order.
    func others() async throws -> [LabNode] {
        let coordinator = try await coordinator()
        return nodes.filter { $0.name != coordinator.name }
    }

    /// The file system tool's verdict on an image that is not the lab's own LUN.
    static func check(image: String, fileSystem: String) async throws {
        let words =
            fileSystem == "xfs"
            ? ["xfs_repair", "-n", "-f", image] : ["e2fsck", "-f", "-n", image]
        let result = try await Command(words, timeoutSeconds: 120).run()
        try require(
            result.status == 0,
            "\(words): status \(result.status)\n\(result.stdout)\(result.stderr)")
    }
}

extension LabNode {
    /// Runs a command that must succeed.
    @discardableResult
    func check(_ words: [String], timeoutSeconds: Double = 60) async throws -> CommandResult {
        let result = try await run(words, timeoutSeconds: timeoutSeconds)
        try require(
            result.status == 0,
            "\(name): \(words.joined(separator: " ")): status \(result.status)\n\(result.stdout)"
                + result.stderr)
        return result
    }

    /// Runs a shell command that must succeed, in the volume.
    @discardableResult
    func shell(_ text: String, timeoutSeconds: Double = 60) async throws -> CommandResult {
        try await check(
            ["bash", "-e", "-o", "pipefail", "-c", "cd '\(volumePath)'; \(text)"],
            timeoutSeconds: timeoutSeconds)
    }

    /// Runs `covol` and decodes what it prints.
    func covolJSON<Value: Decodable>(_ type: Value.Type, _ arguments: [String]) async throws
        -> Value
    {
        let result = try await check([lab.binaries.covol] + arguments + ["--json"])
        return try JSONDecoder().decode(type, from: Data(result.stdoutBytes))
    }
}
