import ArgumentParser
import Testing

@testable import CovolCommands

@Suite("Command lines")
struct ParsingTests {
    @Test(arguments: [
        ["volume", "add"],
        ["volume", "add", ""],
        ["volume", "add", "/dev/sdb", "--name", ".hidden"],
        ["volume", "add", "/dev/sdb", "--name", "a/b"],
        ["volume", "add", "/dev/sdb", "--filesystem", "ntfs"],
        ["volume", "add", "/dev/sdb", "/dev/sdc"],
        ["volume", "rename", "Volume1"],
        ["volume", "rename", "Volume1", ""],
        ["volume", "rename", "Volume1", "a b"],
        ["volume", "remove"],
        ["volume", "show", "../x"],
        ["volume", "list", "extra"],
        ["volume", "list", "--socket", ""],
        ["volume", "list", "--xml"],
        ["volume", "redirect"],
        ["volume", "redirect", "../x"],
        ["volume", "redirect", "Volume1", "--reason", ""],
        ["volume", "redirect", "Volume1", "--reason", "two\nlines"],
        ["volume", "redirect", "Volume1", "--reason", String(repeating: "x", count: 257)],
        ["volume", "resume"],
        ["volume", "move", "Volume1", "--to", "Node_1"],
        ["volume", "set", "Volume1"],
        ["volume", "set", "Volume1", "--allow-unproven-failover"],
        ["volume", "set", "Volume1", "--allow-unproven-failover", "maybe"],
        ["node", "forget"],
        ["node", "forget", "a/b"],
        ["events", "--limit", "-1"],
        ["events", "--limit", "1001"],
        ["events", "--limit", "many"],
        ["events", "--volume", "../x"],
        ["events", "--after", "-1"],
        ["file", "map"],
        ["file", "map", ""],
        ["cluster", "create"],
        ["cluster", "create", "c", "--node", "Node_1"],
        ["cluster", "issue", "node1"],
        ["cluster", "issue", "Node 1", "--output", "/nonexistent"],
        ["nonsense"],
        ["volume", "nonsense"],
    ])
    func wrongOnesAreStatusTwo(arguments: [String]) async {
        let outcome = await covol(arguments)
        #expect(outcome.status == 2)
        #expect(outcome.output == "")
        #expect(outcome.errors.hasPrefix("covol: "))
        #expect(outcome.errors.contains("Usage: covol"))
    }

    @Test func theSocketsOrder() throws {
        var options = ConnectionOptions()
        options.socket = nil
        #expect(options.resolve(environment: [:]) == "/run/covolume/covold.sock")
        #expect(options.resolve(environment: ["COVOL_SOCKET": ""]) == "/run/covolume/covold.sock")
        #expect(options.resolve(environment: ["COVOL_SOCKET": "/a"]) == "/a")
        options.socket = "/b"
        #expect(options.resolve(environment: ["COVOL_SOCKET": "/a"]) == "/b")
    }

    /// Every command explains itself; those that do something show an example.
    @Test func help() async throws {
        var commands: [(path: [String], type: any ParsableCommand.Type)] = [([], CovolCommand.self)]
        var leaves = 0
        while let (path, type) = commands.popLast() {
            let configuration = type.configuration
            #expect(!configuration.abstract.isEmpty, "\(path)")
            let outcome = await covol(path + ["--help"])
            #expect(outcome.status == 0, "\(path)")
            #expect(outcome.errors == "", "\(path)")
            if configuration.subcommands.isEmpty {
                leaves += 1
                let line = "covol " + path.joined(separator: " ")
                #expect(configuration.discussion.contains("Example:\n  \(line)"), "\(path)")
            }
            for child in configuration.subcommands {
                commands.append((path + [try #require(child.configuration.commandName)], child))
            }
        }
        #expect(leaves == 35)
    }

    @Test func noCommandPrintsHelp() async {
        let outcome = await covol([])
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("volume"))
    }
}
