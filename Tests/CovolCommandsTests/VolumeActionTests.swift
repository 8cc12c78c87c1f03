import ClusterAuthority
import Foundation
import Management
import Testing

@Suite("Redirecting, moving, setting, forgetting", .timeLimit(.minutes(1)))
struct VolumeActionTests {
    @Test func redirectAndResume() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let redirect = await covol(
                "volume", "redirect", "Volume1", "--reason", "array snapshot", "--socket", socket)
            #expect(
                redirect
                    == Outcome(
                        status: 0, output: "Volume1 is redirected on every node\n",
                        errors: "2 of 2 nodes are redirected\n"))
            let resume = await covol("volume", "resume", "Volume1", "--socket", socket)
            #expect(resume.output == "Volume1 is no longer redirected by request\n")
        }
        #expect(backend.calls == ["redirect Volume1 array snapshot", "resume Volume1"])
    }

    @Test func move() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let chosen = await covol(
                "volume", "move", "Volume1", "--to", "node2", "--socket", socket)
            #expect(
                chosen
                    == Outcome(
                        status: 0, output: "Volume1 is coordinated by node2 (epoch 4)\n",
                        errors: "node1 drains\n"))
            let json = await covol("volume", "move", "Volume1", "--json", "--socket", socket)
            #expect(json.output.contains(#""coordinator" : "node3""#))
        }
        #expect(backend.calls == ["move Volume1 node2", "move Volume1 -"])
    }

    @Test func set() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol(
                "volume", "set", "Volume1", "--allow-unproven-failover", "yes", "--socket", socket)
            #expect(outcome.status == 0)
            #expect(
                outcome.output.hasSuffix(
                    """
                    Fence:       reservations, which does not work: the target has no PREEMPT AND ABORT
                    Failover:    Unproven
                    Redirected:  Maintenance, UserRequest (snapshot)

                    """))
            _ = await covol(
                "volume", "set", "Volume1", "--allow-unproven-failover", "no", "--socket", socket)
        }
        #expect(backend.calls == ["set Volume1 true", "set Volume1 false"])
    }

    @Test func forget() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let done = await covol("node", "forget", "node3", "--socket", socket)
            #expect(done == Outcome(status: 0, output: "node3 is forgotten\n", errors: ""))
            let refused = await covol("node", "forget", "node1", "--socket", socket)
            #expect(
                refused
                    == Outcome(
                        status: 1, output: "", errors: "covol: node1 is up: stop its daemon first\n"
                    ))
        }
    }

    /// The API's rule of a node's name and the certificates' are one rule.
    @Test(arguments: [
        "node1", "a", "-a", "a-", "a--b", "A", "a.b", "", "ü", "0", "a_b",
        String(repeating: "n", count: 63), String(repeating: "n", count: 64),
    ])
    func nodeNamesAreTheCertificates(name: String) {
        let isName = (try? NodeName.validate(name)) != nil
        #expect(isName == AuthorityNames.isLabel(name))
    }
}

@Suite("covol events", .timeLimit(.minutes(1)))
struct EventsCommandTests {
    private let table = """
        TIME                      SEVERITY  EVENT      VOLUME   NODE   TEXT
        2026-11-22T21:50:00.000Z  warning   node-lost  -        node2  node2 missed its heartbeats for 5 s
        2026-11-22T21:50:00.000Z  info      fenced     Volume1  node2  node2 can write to Volume1 no more

        """

    @Test func listing() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol("events", "--socket", socket)
            #expect(outcome == Outcome(status: 0, output: table, errors: ""))
            let json = await covol(
                "events", "--json", "--limit", "1", "--volume", "Volume1", "--socket", socket)
            let rows = try #require(
                JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
            #expect(rows.count == 1)
            #expect(rows[0]["sequence"] as? Int == 5)
            #expect(rows[0]["durationSeconds"] is NSNull)
        }
        #expect(backend.calls == ["events 0 100 -", "events 0 1 Volume1"])
    }

    @Test func followingPrintsALineForEach() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let text = await covol("events", "--follow", "--socket", socket)
            let lines = text.output.split(separator: "\n")
            #expect(lines.count == 3)
            #expect(lines[0].hasPrefix("TIME                      SEVERITY"))
            #expect(lines[2].contains("info      fenced     Volume1  node2"))
            // The daemon that ends it is no success: something follows on.
            #expect(text.status == 1)
            #expect(text.errors.contains("shutting down"))

            let json = await covol(
                "events", "--follow", "--json", "--after", "3", "--socket", socket)
            let rows = json.output.split(separator: "\n")
            #expect(rows.count == 1)
            #expect(rows[0].hasPrefix(#"{"cause":null,"durationSeconds":null,"kind":"fenced""#))
        }
        #expect(backend.calls == ["events 0 10 -", "events 3 1000 -"])
    }
}
