import Foundation
import Testing

@testable import Fencing

@Suite struct FenceAgentTests {
    private let directory = TemporaryDirectory()

    /// An agent that notes its input and keeps the power's state in a file.
    private func agent(
        off: String = "echo off > power; exit 0",
        status: String = "[ $(cat power) = off ] && exit 2",
        timeoutSeconds: Double = 20
    ) throws -> FenceAgent {
        let program = try directory.script(
            "fence_model",
            """
            cd \(directory.path)
            cat > input; cat input >> inputs
            case $(sed -n s/action=//p input) in
            off) \(off) ;;
            status) \(status) ;;
            esac
            """)
        return try FenceAgent(
            program: program, options: ["ip": "192.0.2.1", "plug": "node 2"],
            timeoutSeconds: timeoutSeconds)
    }

    @Test func offAndStatusProve() throws {
        let agent = try agent()
        try agent.checkInstalled()
        let outcome = agent.fence(node: "node2")
        #expect(outcome.isProven, "\(outcome)")
        #expect(outcome.text.contains("node2"))
        #expect(
            try directory.contents("inputs")
                == "ip=192.0.2.1\nplug=node 2\naction=off\nip=192.0.2.1\nplug=node 2\n"
                + "action=status\n")
    }

    @Test func agentThatFailsProvesNothing() throws {
        let outcome = try agent(off: "echo Unable to connect >&2; exit 1").fence(node: "node2")
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("Unable to connect"))
        // It was not asked for the state: that could be off by chance, of another plug.
        #expect(try !directory.contents("inputs").contains("status"))
    }

    @Test func statusMustSayOff() throws {
        var pauses = 0
        let outcome = try agent(off: "exit 0", status: "echo Status: ON; exit 0")
            .fence(node: "node2") { _ in pauses += 1 }
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("Status: ON"))
        #expect(pauses == FencingLimits.agentStatusAttemptsMaximum - 1)
    }

    @Test func statusMayTakeAWhile() throws {
        let outcome = try agent(
            off: "exit 0", status: "echo >> asked; [ $(wc -l < asked) -ge 3 ] && exit 2; exit 1"
        ).fence(node: "node2") { _ in }
        #expect(outcome.isProven, "\(outcome)")
    }

    @Test func agentThatHangsIsKilledWithItsChildren() throws {
        let agent = try agent(
            off: "sleep 300 & echo $! > child; wait", timeoutSeconds: 1)
        let start = BootClock.nowSeconds
        let outcome = agent.fence(node: "node2")
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("killed"))
        #expect(BootClock.nowSeconds - start < 10)
        let child = Int32(try directory.contents("child").trimmingCharacters(in: .newlines))!
        var attempts = 0
        while kill(child, 0) == 0, attempts < 200 {
            usleep(10_000)
            attempts += 1
        }
        #expect(kill(child, 0) != 0)
    }

    @Test func missingAgent() throws {
        let agent = try FenceAgent(program: "fence_not_there", options: [:])
        #expect(throws: FenceError.self) { try agent.checkInstalled() }
        #expect(!agent.fence(node: "node2").isProven)
    }

    @Test func longOutputIsCut() throws {
        let outcome = try agent(off: "yes | head -c 1000000; printf 'the \\033 end\\n'; exit 1")
            .fence(node: "node2")
        #expect(outcome.text.contains("the end"))
        #expect(outcome.text.utf8.count < 1024)
    }

    @Test(arguments: [
        ["action": "on"], ["a b": "c"], ["": "c"], ["plug": "1\naction=on"], ["plug": "\u{0}"],
    ])
    func optionsThatCannotBe(_ options: [String: String]) {
        #expect(throws: FenceError.self) {
            try FenceAgent(program: "fence_model", options: options)
        }
    }

    @Test(arguments: ["", "bin/agent", "fence agent"])
    func programsThatCannotBe(_ program: String) {
        #expect(throws: FenceError.self) { try FenceAgent(program: program, options: [:]) }
    }

    @Test func travelsAsJSON() throws {
        let agent = try FenceAgent(program: "fence_ipmilan", options: ["ip": "192.0.2.1"])
        let data = try JSONEncoder().encode(agent)
        #expect(try JSONDecoder().decode(FenceAgent.self, from: data) == agent)
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(
                FenceAgent.self, from: Data(#"{"program":"x","options":{"action":"on"}}"#.utf8))
        }
    }

    @Test(
        .enabled(
            if: access("/usr/sbin/fence_dummy", X_OK) == 0,
            "the package fence-agents is not installed"))
    func agentOfThePackage() throws {
        let file = "\(directory.path)/power"
        try Data("on".utf8).write(to: URL(filePath: file))
        let agent = try FenceAgent(
            program: "fence_dummy", options: ["type": "file", "status_file": file])
        let outcome = agent.fence(node: "node2")
        #expect(outcome.isProven, "\(outcome)")
        #expect(try directory.contents("power") == "off")
    }
}
