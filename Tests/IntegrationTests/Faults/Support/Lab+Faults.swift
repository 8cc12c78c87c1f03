import Foundation

@testable import LabKit

/// A row of `covol volume state --json`, with everything.
struct StateRow: Decodable, Sendable {
    var volume: String
    var node: String
    var coordinator: String?
    var state: String
    var reasons: [String]
    var detail: String?

    var isDirect: Bool { state == "Direct" }
}

/// A row of `covol events --json`.
struct EventRow: Decodable, Sendable {
    var sequence: UInt64
    var time: String
    var kind: String
    var severity: String
    var node: String?
    var cause: String?
    var outcome: String?
    var durationSeconds: Double?
    var text: String
}

/// A row of `covol stats --json`, as far as these tests look.
struct StatisticsRow: Decodable, Sendable {
    var node: String
    var directWrites: UInt64
    var redirectedWrites: UInt64
}

extension Lab {
    /// The simulated LUN's control: these tests' labs have one.
    var lun: LUNControl {
        get throws {
            guard let control = lunControl else { throw Finding("the lab has no simulated LUN") }
            return control
        }
    }

    /// The nodes whose daemons run and answer.
    var answering: [LabNode] { nodes.filter { $0.isAlive && !($0.daemon?.isStopped ?? true) } }

    /// All nodes' states, as one of them sees them: the first that answers, or `node`.
    func states(from node: LabNode? = nil) async throws -> [StateRow] {
        guard let asked = node ?? answering.first else { throw Finding("no daemon runs") }
        return try await asked.covolJSON([StateRow].self, ["volume", "state"])
    }

    func state(of node: LabNode, from asked: LabNode? = nil) async throws -> StateRow? {
        try await states(from: asked).first { $0.node == node.name }
    }

    /// Waits for a node's state, as the node itself tells it.
    func wait(
        for node: LabNode, state: String, reasons: Set<String> = [], atMostSeconds: Double = 20
    ) async throws {
        var last: StateRow?
        try await eventually(
            "\(node.name) is \(state) \(reasons.sorted()): it is \(String(describing: last))",
            atMostSeconds: atMostSeconds
        ) {
            last = try? await self.state(of: node, from: node)
            return last?.state == state && Set(last?.reasons ?? []) == reasons
        }
    }

    /// Waits until another node than `old` coordinates, and the answering nodes have the volume.
    /// - Returns: the new coordinator.
    func waitForTakeover(from old: LabNode, atMostSeconds: Double = 40) async throws -> LabNode {
        let start = bootSeconds()
        var last: [StateRow] = []
        try await eventually(
            "another node than \(old.name) coordinates: \(last)", atMostSeconds: atMostSeconds
        ) {
            guard let asked = self.answering.first(where: { $0.name != old.name }),
                let rows = try? await self.states(from: asked)
            else { return false }
            last = rows
            let others = rows.filter { $0.node != old.name }
            return others.allSatisfy {
                $0.coordinator != nil && $0.coordinator != old.name
                    && ["Direct", "Redirected"].contains($0.state)
            } && !others.isEmpty
        }
        let seconds = bootSeconds() - start
        guard let name = last.first(where: { $0.node != old.name })?.coordinator,
            let new = nodes.first(where: { $0.name == name })
        else { throw Finding("no coordinator among \(last)") }
        tell("\(new.name) coordinates \((seconds * 10).rounded() / 10) s after \(old.name)'s loss")
        return new
    }

    /// The node that coordinates, whichever nodes answer.
    func currentCoordinator() async throws -> LabNode {
        var found: LabNode?
        try await eventually("the volume has a coordinator") {
            let name = try? await self.states().compactMap(\.coordinator).first
            found = self.nodes.first { $0.name == name }
            return found != nil
        }
        guard let found else { throw Finding("the volume has no coordinator") }
        return found
    }

    func events(after sequence: UInt64 = 0) async throws -> [EventRow] {
        guard let node = answering.first else { throw Finding("no daemon runs") }
        return try await node.covolJSON(
            [EventRow].self, ["events", "--after", "\(sequence)", "--limit", "1000"])
    }

    func lastEvent() async throws -> UInt64 { try await events().last?.sequence ?? 0 }

    /// Waits for an event of one of these kinds.
    @discardableResult
    func wait(
        forEvent kinds: Set<String>, of node: LabNode? = nil, after sequence: UInt64,
        atMostSeconds: Double = 30
    ) async throws -> EventRow {
        var rows: [EventRow] = []
        func match(_ row: EventRow) -> Bool {
            kinds.contains(row.kind) && (node == nil || row.node == node?.name)
        }
        try await eventually(
            "an event \(kinds) of \(node?.name ?? "any node") among "
                + rows.map { "\($0.kind) \($0.node ?? "-"): \($0.text)" }.joined(separator: "\n"),
            atMostSeconds: atMostSeconds, pollSeconds: 0.3
        ) {
            rows = (try? await self.events(after: sequence)) ?? rows
            return rows.contains(where: match)
        }
        guard let found = rows.first(where: match) else { throw Finding("no such event") }
        return found
    }
}
