import Foundation
import Testing

@Suite("covol vm, and a node's maintenance", .timeLimit(.minutes(1)))
struct MachineTests {
    @Test func createsWithTheSizesAsPeopleWriteThem() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol(
                "vm", "create", "web", "--volume", "Volume1", "--memory", "2G", "--disk",
                "4G,format=qcow2", "--image", "/images/d.vmdk", "--socket", socket)
            #expect(outcome.status == 0)
            #expect(outcome.errors == "making the disk\n")
            #expect(
                outcome.output
                    == "web is made in /clusterstorage/Volume1/web; covol vm start web starts it\n")
        }
        #expect(backend.calls == ["create web Volume1 4294967296 /images/d.vmdk 2147483648"])
    }

    @Test(arguments: [
        ["vm", "create", "web", "--volume", "Volume1"],
        ["vm", "create", "web", "--volume", "Volume1", "--image", "a", "--kernel", "b"],
        ["vm", "create", "web", "--volume", "Volume1", "--image", "a", "--disk", "4X"],
        ["vm", "create", "web", "--volume", "Volume1", "--image", "a", "--memory", "1"],
        ["vm", "create", "web", "--volume", "Volume1", "--image", "a", "--network", "wifi"],
        ["vm", "create", "web", "--volume", "Volume1", "--image", "a", "--network", "bridge=a/b"],
        ["vm", "create", "-web", "--volume", "Volume1", "--image", "a"],
        ["vm", "migrate", "web", "--cancel", "--quick"], ["vm", "set", "web"],
        ["vm", "set", "web", "--priority", "urgent"], ["node", "drain", "No Node"],
    ])
    func wrongCommandLinesAreRefused(_ arguments: [String]) async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol(arguments + ["--socket", socket])
            #expect(outcome.status == 2, "\(arguments): \(outcome)")
        }
        #expect(backend.calls.isEmpty)
    }

    @Test func ordersSayWhereTheMachineIsThen() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol(
                "vm", "migrate", "web", "--to", "node2", "--socket", socket)
            #expect(
                outcome == Outcome(status: 0, output: "web is running on node2\n", errors: "50 %\n")
            )
            _ = await covol("vm", "stop", "web", "--force", "--socket", socket)
            _ = await covol("vm", "restore", "web", "--discard", "--socket", socket)
        }
        #expect(
            backend.calls == [
                "web: migrate(node: Optional(\"node2\"), isQuick: false)",
                "web: stop(isForced: true)", "web: discard",
            ])
    }

    @Test func listsAreTablesAndJSON() async throws {
        try await withDaemon { socket in
            let table = await covol("vm", "list", "--socket", socket)
            #expect(table.output.contains("512.0 MiB"))
            let json = await covol("vm", "list", "--json", "--socket", socket)
            let rows = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
            #expect((rows as? [[String: Any]])?.first?["node"] as? String == "node2")
            let missing = await covol("vm", "show", "nope", "--socket", socket)
            #expect(missing.status == 1 && missing.errors.contains("covol vm list"))
        }
    }

    @Test func nodesAreDrainedAndResumed() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol("node", "drain", "node1", "--socket", socket)
            #expect(
                outcome
                    == Outcome(
                        status: 0, output: "node1 is drained\n",
                        errors: "web: migrating to node3\n"))
            _ = await covol("node", "resume", "node1", "--failback", "--socket", socket)
        }
        #expect(backend.calls == ["drain node1", "resume node1 true"])
    }
}
