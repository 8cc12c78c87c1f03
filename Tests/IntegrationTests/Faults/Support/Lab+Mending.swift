import Glibc
import Synchronization
import Testing

@testable import LabKit

extension SharedLab {
    /// Runs a test in the suite's lab, and mends afterwards what it broke, so that the next begins
    /// with nodes that all serve the volume directly.
    static func useAndMend(
        isolation: isolated (any Actor)? = #isolation, _ body: (Lab) async throws -> Void
    ) async throws {
        try await use { lab in
            let directory = lab.plan.directory
            try require(
                !broken.withLock { $0.contains(directory) },
                "not run: an earlier test has broken the lab beyond mending")
            do {
                try await body(lab)
            } catch {
                // What went wrong first is what counts.
                do {
                    try await lab.mend()
                } catch {
                    tell("the lab cannot be mended: \(error)")
                    broken.withLock { _ = $0.insert(directory) }
                }
                throw error
            }
            try await lab.mend()
        }
    }

    /// The directories of labs that a test could not mend.
    private static let broken = Mutex<Set<String>>([])
}

extension Lab {
    /// Ends every fault, starts what is dead, and waits until all nodes are direct.
    func mend(atMostSeconds: Double = 60) async throws {
        for node in nodes {
            if node.daemon?.isStopped ?? false { try await node.apply(.daemon(.continue)) }
            try await node.apply(.network(.cluster, isUp: true))
            if try await node.isPoweredOff() {
                try await node.apply(.power(isOn: true))
            } else {
                try await node.apply(.storage(.restore))
                if !node.isAlive { try await node.apply(.daemon(.start)) }
            }
        }
        try await waitUntilDirect(atMostSeconds: atMostSeconds)
    }

    /// Waits until each node says of all nodes that they reach the volume directly.
    func waitUntilDirect(atMostSeconds: Double = 60) async throws {
        try await waitUntilServing(atMostSeconds: atMostSeconds)
        var last: [StateRow] = []
        try await eventually("all nodes are direct: \(last)", atMostSeconds: atMostSeconds) {
            for node in self.nodes {
                guard let rows = try? await self.states(from: node) else { return false }
                last = rows
                let direct = rows.filter { $0.isDirect && $0.coordinator != nil }
                guard Set(direct.map(\.node)) == Set(self.nodes.map(\.name)) else { return false }
            }
            return true
        }
    }

    /// The path's registration, `0x` and 16 digits; nil for none.
    func key(of node: LabNode) async throws -> String? {
        try await lun.status().paths.first { $0.name == node.name }?.key
    }

    /// Waits until the key that a path had is gone from the LUN: preempted.
    /// - Returns: when it was seen last (CLOCK_BOOTTIME).
    @discardableResult
    func waitUntilPreempted(
        _ key: String?, of node: LabNode, atMostSeconds: Double = 40
    ) async throws -> Double {
        guard let key else { throw Finding("\(node.name) had no key") }
        var seen = bootSeconds()
        try await eventually(
            "\(node.name)'s key \(key) is preempted", atMostSeconds: atMostSeconds,
            pollSeconds: 0.05
        ) {
            let asked = bootSeconds()
            guard try await self.key(of: node) == key else { return true }
            seen = asked
            return false
        }
        return seen
    }

    /// What landed on the LUN by a node's path after the write with this number.
    func landed(by node: LabNode, after sequence: UInt64) async throws -> [LUNControl.Access] {
        try await lun.accesses(since: sequence).filter { $0.path == node.name }
    }

    func lastSequence() async throws -> UInt64 { try await lun.status().lastSequence }

    func counters(of node: LabNode) async throws -> LUNControl.Path.Counters {
        guard let path = try await lun.status().paths.first(where: { $0.name == node.name }) else {
            throw Finding("the simulator has no path \(node.name)")
        }
        return path.counters
    }

    /// Undoes a fence, as nothing in the product can: registers a key on the path by hand
    /// (REGISTER AND IGNORE EXISTING KEY). For controls.
    func undoFence(of node: LabNode) throws {
        let data = String(repeating: "0", count: 16) + "00000000000c0de0" + "0000000000000000"
        let line =
            #"{"command":"scsi","path":"\#(node.name)","cdb":"5f060000000000001800","#
            + #""data":"\#(data)"}"# + "\n"
        // The first answer is the unit attention that the fence left.
        var text = ""
        for _ in 0..<2 where !text.contains(#""status":0"#) {
            let answer = try UnixSocket.exchange(Array(line.utf8), with: plan.lunSocket)
            text = String(decoding: answer, as: UTF8.self)
        }
        try require(text.contains(#""status":0"#), "registering by hand: \(text)")
    }
}

extension LabNode {
    /// Ends the daemon so that nobody keeps what it served: its mounts are gone, and programs on them
    /// fail.
    func killDaemonAndHolder() async throws {
        // The daemon first: it would start another holder.
        try await apply(.daemon(.kill))
        try await check(["pkill", "-KILL", "-f", "covol-holder \(plan.stateDirectory)/"])
    }
}
