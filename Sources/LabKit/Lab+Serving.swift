import Foundation

/// A row of `covol volume state --json`.
public struct VolumeStateRow: Codable, Sendable, Equatable {
    public var volume: String
    public var node: String
    public var coordinator: String?
    /// Direct, Redirected, Paused or Unavailable.
    public var state: String
    public var reason: String?

    /// Whether files of the volume can be used on the node.
    var serves: Bool { ["direct", "redirected"].contains(state.lowercased()) }
}

extension LabNode {
    /// The volumes' states as this node sees them.
    public func volumeStates(timeoutSeconds: Double = 10) async throws(LabError)
        -> [VolumeStateRow]
    {
        let result = try await covol(
            ["volume", "state", "--json"], timeoutSeconds: timeoutSeconds)
        guard result.status == 0 else {
            throw LabError(
                .commandFailed,
                "covol volume state on \(name): status \(result.status): \(result.stderr)")
        }
        do {
            return try JSONDecoder().decode(
                [VolumeStateRow].self, from: Data(result.stdoutBytes))
        } catch {
            throw LabError(
                .commandFailed,
                "covol volume state on \(name) printed no list of states: \(result.stdout)")
        }
    }

    /// Whether something is mounted where this node shows the volume.
    public func isVolumeMounted() throws(LabError) -> Bool {
        try MountInfo.current().contains { $0.mountPoint == volumePath }
    }
}

extension Lab {
    /// Waits until each node says that all nodes serve the volume, and shows it.
    /// - Throws: `daemonFailed` when a daemon ends, `notServing` after the time, with the reason.
    public func waitUntilServing(
        atMostSeconds: Double = LabLimits.servingSeconds,
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws {
        let deadline = Clock.nowSeconds + atMostSeconds
        var shown = ""
        while true {
            var missing: [String] = []
            for node in nodes {
                guard node.isAlive else {
                    throw LabError(
                        .daemonFailed,
                        "\(node.name) ended; the end of \(node.plan.log):\n"
                            + LogFile(path: node.plan.log).tail)
                }
                if let reason = await reasonNotServing(node) { missing.append(reason) }
            }
            guard !missing.isEmpty else { return }
            let text = missing.joined(separator: "; ")
            if text != shown {
                progress("waiting: \(text)")
                shown = text
            }
            guard Clock.nowSeconds < deadline else {
                throw LabError(.notServing, "not served after \(Int(atMostSeconds)) s: \(text)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func reasonNotServing(_ node: LabNode) async -> String? {
        do throws(LabError) {
            guard try node.isVolumeMounted() else { return "\(node.name) shows no volume" }
            let rows = try await node.volumeStates()
                .filter { $0.volume == plan.options.volumeName }
            let others = nodes.filter { peer in
                !rows.contains { $0.node == peer.name && $0.serves }
            }
            guard let first = others.first else { return nil }
            let state = rows.first { $0.node == first.name }
            return "\(node.name) sees \(first.name) \(state?.state ?? "missing")"
                + (state?.reason.map { " (\($0))" } ?? "")
        } catch {
            return "\(node.name): \(error.message)"
        }
    }
}
