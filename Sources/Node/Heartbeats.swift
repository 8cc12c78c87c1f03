import Logging
import Transport

/// Asks every other node once a second whether it is there. A node that reaches none of several
/// others is the one that is cut off: it lets its membership lapse, so that the others go on.
actor Heartbeats {
    /// Beats that must be missed before a node counts as not reached.
    static let missedMaximum = 5

    private let context: NodeContext
    private var missed: [String: Int] = [:]

    init(context: NodeContext) { self.context = context }

    func run() async {
        while !Task.isCancelled {
            let others = await context.otherMembers()
            missed = missed.filter { others.contains($0.key) }
            await withTaskGroup(of: (String, Bool).self) { group in
                for node in others { group.addTask { (node, await self.reaches(node)) } }
                for await (node, isReached) in group {
                    missed[node] = isReached ? 0 : (missed[node] ?? 0) + 1
                }
            }
            let lost = others.count { (missed[$0] ?? 0) >= Self.missedMaximum }
            // With one other node nobody can tell which of the two is cut off.
            await context.membership.setIsolated(others.count >= 2 && lost == others.count)
            try? await Task.sleep(for: .seconds(1))
        }
    }

    nonisolated private func reaches(_ node: String) async -> Bool {
        do {
            let client = try await context.peers().client(for: node, timeout: .seconds(1))
            _ = try await client.call(
                TransportMessage(.heartbeat, json: [String]()), timeout: .seconds(1))
            return true
        } catch {
            return false
        }
    }
}
