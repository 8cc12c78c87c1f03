import Glibc
import Testing

@testable import LabKit

@Suite struct CommandTests {
    @Test func statusAndBothStreamsComeBack() async throws {
        let result = try await Command(["sh", "-c", "echo out; echo err >&2; exit 7"]).run()
        #expect(result.status == 7)
        #expect(result.line == "out")
        #expect(result.stderr == "err\n")
    }

    @Test func aSignalCountsAsShellsCountIt() async throws {
        let result = try await Command(["sh", "-c", "kill -9 $$"]).run()
        #expect(result.status == 137)
    }

    @Test func inputIsRead() async throws {
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
        let result = try await Command(["cat"], input: bytes).run()
        #expect(result.stdoutBytes == bytes)
    }

    @Test func nothingButWhatIsGivenIsInherited() async throws {
        let held = try Descriptor(opening: "/dev/null")
        // Without close-on-exec: another library's descriptor.
        _ = fcntl(held.number, F_SETFD, 0)
        var command = Command(["sh", "-c", "ls /proc/self/fd | wc -l; env | wc -l; pwd"])
        command.environment = ["PATH": "/usr/bin:/bin", "ONLY": "this"]
        command.workingDirectory = "/usr"
        let lines = try await command.run().stdout.split(separator: "\n")
        // 0 to 2 and the directory that ls reads.
        #expect(lines.first.map { $0.filter(\.isNumber) } == "4")
        #expect(lines.last == "/usr")
        #expect(held.number > 2)
    }

    @Test func afterTheTimeTheWholeSessionIsKilled() async throws {
        let start = Clock.nowSeconds
        let mark = "covol-\(UInt64.random(in: 0...UInt64.max))"
        // A grandchild with a name of its own; that it was there is checked before the time is over.
        let script = """
            (exec -a \(mark) sleep 600) &
            until pgrep -f '^\(mark)' >/dev/null; do sleep 0.05; done
            echo begun; sleep 600
            """
        await #expect {
            _ = try await Command(["bash", "-c", script], timeoutSeconds: 1.5).run()
        } throws: { error in
            guard let error = error as? LabError else { return false }
            return error.code == .commandTimedOut && error.message.contains("begun")
        }
        #expect(Clock.nowSeconds - start < 5)
        let left = try await Command(["pgrep", "-f", "^\(mark)"]).run()
        #expect(left.status == 1, "\(left.stdout)")
    }

    @Test func aGrandchildThatKeepsThePipesDelaysNothing() async throws {
        let start = Clock.nowSeconds
        let result = try await Command(["sh", "-c", "sleep 20 & echo $!"]).run()
        #expect(Clock.nowSeconds - start < 5)
        let grandchild = try #require(Int32(result.line).flatMap(ProcessIdentity.init(pid:)))
        #expect(grandchild.signal(SIGKILL))
    }

    @Test func whatCannotBeStartedIsAnError() async {
        for words in [["/nonexistent/program"], ["covol-no-such-program"], ["/etc/passwd"]] {
            await #expect(throws: LabError.self) { _ = try await Command(words).run() }
        }
        await #expect(throws: LabError.self) {
            _ = try await Command(["true"], workingDirectory: "/nonexistent").run()
        }
        await #expect(throws: LabError.self) {
            _ = try await Command(["true"], networkNamespace: "covol-no-such").run()
        }
    }

    @Test func manyAtOnceDoNotWaitForEachOther() async throws {
        let start = Clock.nowSeconds
        try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<16 {
                group.addTask { try await Command(["sleep", "1"]).run().status }
            }
            for try await status in group { #expect(status == 0) }
        }
        #expect(Clock.nowSeconds - start < 8)
    }
}
