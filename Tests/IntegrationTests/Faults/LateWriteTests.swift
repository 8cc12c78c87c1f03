import Foundation
import LabKit
import Testing

extension IntegrationTests {
    /// A write that hangs on its way to the LUN and would land when its blocks are somebody else's.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct LateWriteTests {
        /// Who sends it is killed. The next to write the block has the last word.
        @Test func ofADeadNode() async throws {
            try await SharedLab.useAndMend { lab in
                let victim = try await lab.others()[0]
                try await hold(lab, victim, "dead") { held in
                    let key = try await lab.key(of: victim)
                    try await victim.killDaemonAndHolder()
                    try await lab.waitUntilPreempted(key, of: victim)
                    _ = try? await held.value
                }
            }
        }

        /// The path of a node that lives is fenced for it, and the program goes on, redirected.
        @Test func ofALivingNode() async throws {
            try await SharedLab.useAndMend { lab in
                let victim = try await lab.others()[0]
                try await hold(lab, victim, "living") { held in
                    let result = try await held.value
                    #expect(result.status == 0, "the write: \(result.stderr)")
                    tell("late write: the program waited \(result.line) s")
                    let text = try await lab.node(1).shell("head -c 4 late-living").stdout
                    #expect(text == "BBBB", "the redirected write is not there: \(text)")
                }
            }
        }

        /// Of the coordinator: its mapped write and the file system's own go by the same path.
        @Test func ofTheCoordinator() async throws {
            try await SharedLab.useAndMend { lab in
                let victim = try await lab.currentCoordinator()
                try await hold(lab, victim, "coordinator") { held in
                    let key = try await lab.key(of: victim)
                    try await victim.killDaemonAndHolder()
                    try await lab.waitUntilPreempted(key, of: victim)
                    _ = try? await held.value
                    _ = try await lab.waitForTakeover(from: victim)
                }
            }
        }

        /// Holds back a write of BBBB by `victim`, has it fenced by `fence`, lets another node write
        /// CCCC, lets go what was held back, and looks.
        private func hold(
            _ lab: Lab, _ victim: LabNode, _ name: String,
            fence: (Task<CommandResult, any Error>) async throws -> Void
        ) async throws {
            let file = "late-\(name)"
            let other = try #require(lab.nodes.first { $0.name != victim.name })
            try await prepare(victim, file)
            let before = try await lab.lastSequence()
            try await victim.apply(.storage(.lateWrite))
            let ready = lab.plan.directory + "/" + file
            let held = Task {
                try await victim.run(
                    [
                        "python3", FaultTools.holder, "put", "\(victim.volumePath)/\(file)",
                        ready, "B",
                    ], timeoutSeconds: 90)
            }
            try await waitForFile(ready)
            try await fence(held)
            try await write(other, file, "C")
            try await victim.apply(.storage(.releaseLate))
            try await Task.sleep(for: .seconds(1))
            let late = try await lab.landed(by: victim, after: before).filter(\.late)
            #expect(late.isEmpty, "landed after its fence: \(late)")
            #expect(try await isOverwritten(other, file) == false, "the late write is there")
        }

        /// The control: the same without a fence, straight into the path. It must be found.
        @Test func withoutAFenceItLands() async throws {
            try await SharedLab.useAndMend { lab in
                let (victim, other) = (try await lab.others()[0], try await lab.others()[1])
                let file = "late-control"
                try await prepare(victim, file)
                let offset = try await lunOffset(lab, victim, file)
                let before = try await lab.lastSequence()
                try await victim.apply(.storage(.lateWrite))
                let held = Task {
                    try await victim.check(
                        [
                            "bash", "-c",
                            "head -c 4096 /dev/zero | tr '\\0' B | dd of='\(victim.plan.lunPath)' "
                                + "bs=4096 oflag=direct,seek_bytes seek=\(offset) conv=notrunc "
                                + "status=none iflag=fullblock",
                        ])
                }
                try await eventually("the write is held back") {
                    try await lab.lun.status().paths.contains {
                        $0.name == victim.name && $0.lateWrite == "held"
                    }
                }
                try await write(other, file, "C")
                try await victim.apply(.storage(.releaseLate))
                _ = try await held.value
                let late = try await lab.landed(by: victim, after: before).filter(\.late)
                #expect(late.map(\.offset) == [offset])
                #expect(try await isOverwritten(other, file), "the control went unnoticed")
            }
        }

        private func prepare(_ node: LabNode, _ file: String) async throws {
            try await node.shell(
                "head -c 64K /dev/zero | tr '\\0' A >\(file); sync \(file); head -c 4 \(file)")
        }

        private func write(_ node: LabNode, _ file: String, _ letter: String) async throws {
            try await node.shell(
                "head -c 4096 /dev/zero | tr '\\0' \(letter) | dd of=\(file) bs=4096 "
                    + "iflag=fullblock oflag=direct conv=notrunc status=none", timeoutSeconds: 60)
        }

        /// Whether the block has something else than what was written last.
        private func isOverwritten(_ node: LabNode, _ file: String) async throws -> Bool {
            try await node.shell("dd if=\(file) bs=4096 count=1 iflag=direct status=none").stdout
                != String(repeating: "C", count: 4096)
        }

        private struct Extent: Decodable {
            var fileOffsetBytes: UInt64
            var lunOffsetBytes: UInt64?
        }

        private func lunOffset(
            _ lab: Lab, _ node: LabNode, _ file: String
        ) async throws -> UInt64 {
            let map = try await node.covolJSON(
                [Extent].self, ["file", "map", "\(node.volumePath)/\(file)"])
            return try #require(map.first?.lunOffsetBytes)
        }
    }
}
