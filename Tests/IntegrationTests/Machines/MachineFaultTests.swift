import Foundation
import Testing

@testable import LabKit

extension IntegrationTests {
    /// Machines that are being moved while something else happens.
    @Suite(
        SharedLab(.test(simulatedLUN: true)),
        .enabled(if: TestGuest.found != nil, "needs QEMU and what scripts/guest builds"))
    struct MachineFaultTests {
        /// Rounds with a fault in each; `make soak` asks for more, and for power failures.
        private static let rounds =
            ProcessInfo.processInfo.environment["COVOL_MACHINE_ROUNDS"].flatMap { Int($0) } ?? 3

        private enum Fault: CaseIterable {
            case killSource, killTarget, cutNetwork, powerOffSource, powerOffTarget, none
        }

        @Test func aFaultAtAnyPointLeavesOneCopy() async throws {
            let seed = SeededGenerator.seedOfThisRun
            print("MachineFaultTests: SEED=\(seed), \(Self.rounds) rounds")
            var random = SeededGenerator(seed: seed)
            try await withMachine("moved") { lab, console in
                try await lab.vm("start", "moved", "--on", "node1")
                try await console.waitForBeats(10, on: "node1")
                for round in 0..<Self.rounds {
                    let shown = try await lab.shownMachine("moved")
                    let source = try #require(shown.node)
                    let others = lab.nodes.map(\.name).filter { $0 != source }
                    let target = random.element(others)
                    // A few rounds have each kind of fault but the slow ones, which need a restart.
                    let fault =
                        Self.rounds > 10
                        ? random.element(Fault.allCases) : Fault.allCases[round % 3]
                    let delay = random.below(1500)
                    print("round \(round): \(source) to \(target), \(fault) after \(delay) ms")
                    // Nobody waits for its outcome: a node that dies takes it along.
                    let third = try #require(others.first { $0 != target })
                    let orderer = try node(third, lab)
                    async let ordered = orderer.run(
                        [lab.binaries.covol, "vm", "migrate", "moved", "--to", target],
                        timeoutSeconds: 120)
                    try await Task.sleep(for: .milliseconds(delay))
                    try await strike(fault, lab, source, target)
                    _ = try? await ordered
                    try await settle(lab, console)
                    try await mend(fault, lab, source, target)
                }
                try console.requireContinuity()
                try await lab.stopAndCheck("moved", console)
            }
        }

        private func node(_ name: String, _ lab: Lab) throws -> LabNode {
            try #require(lab.nodes.first { $0.name == name })
        }

        private func strike(
            _ fault: Fault, _ lab: Lab, _ source: String, _ target: String
        ) async throws {
            switch fault {
            case .none: break
            case .killSource: try await end(on: try node(source, lab))
            case .killTarget: try await end(on: try node(target, lab))
            case .cutNetwork:
                try await node(target, lab).apply(.network(.cluster, isUp: false))
                try await Task.sleep(for: .milliseconds(1500))
                try await node(target, lab).apply(.network(.cluster, isUp: true))
            case .powerOffSource: try await node(source, lab).apply(.power(isOn: false))
            case .powerOffTarget: try await node(target, lab).apply(.power(isOn: false))
            }
        }

        /// Ends the QEMU of that node, if there is one.
        private func end(on node: LabNode) async throws {
            for process in NetworkNamespace.processes(in: [node.plan.namespace]) {
                let path = "/proc/\(process.pid)/exe"
                let program = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                if program?.hasSuffix("qemu-system-x86_64") == true { process.signal(SIGKILL) }
            }
        }

        private func mend(
            _ fault: Fault, _ lab: Lab, _ source: String, _ target: String
        ) async throws {
            switch fault {
            case .powerOffSource: try await node(source, lab).apply(.power(isOn: true))
            case .powerOffTarget: try await node(target, lab).apply(.power(isOn: true))
            default: return
            }
            try await lab.waitUntilServing()
        }

        /// Waits until one node runs it, and it is heard.
        private func settle(_ lab: Lab, _ console: GuestConsole) async throws {
            let deadline = Clock.nowSeconds + 90
            var shown: ShownMachine?
            while true {
                try require(
                    Clock.nowSeconds < deadline,
                    "it is not heard after 90 s: copies on \(lab.copies(of: "moved")), "
                        + (shown.map {
                            "\($0.state) on \($0.node ?? "no node"), \($0.detail ?? "")"
                        }
                            ?? "not shown"))
                try await Task.sleep(for: .milliseconds(200))
                shown = nil
                for node in lab.nodes where shown == nil && node.isAlive {
                    shown = try? await lab.shownMachine("moved", from: node)
                }
                // It was killed so often that the cluster has given it up, as it should.
                if shown?.state == "Failed" { try await lab.vm("start", "moved") }
                guard let shown, shown.state == "Running", let node = shown.node,
                    lab.copies(of: "moved") == [node]
                else { continue }
                let beats = console.of("beat").count
                try await Task.sleep(for: .milliseconds(500))
                if console.of("beat").count > beats { return }
            }
        }

        @Test func itMovesWhileTheCoordinatorDoes() async throws {
            try await withMachine("steady") { lab, console in
                try await lab.vm("start", "steady", "--on", "node2")
                try await console.waitForBeats(10, on: "node2")
                let coordinator = try await lab.coordinator().name
                let next = try #require(lab.nodes.map(\.name).first { $0 != coordinator })
                async let moved: Void = lab.vm("migrate", "steady", "--to", "node3")
                try await lab.node(1).check([
                    lab.binaries.covol, "volume", "move", "Volume1", "--to", next,
                ])
                try await moved
                try await console.waitForBeats(10, on: "node3")
                try console.requireOneBoot()
                try console.requireContinuity()
                try await lab.stopAndCheck("steady", console)
            }
        }

        /// The path of the coordinator's own node: so another one takes over at the same time.
        @Test func itMovesWhileAPathIsLost() async throws {
            try await withMachine("pathless") { lab, console in
                if try await lab.coordinator().name != "node2" {
                    try await lab.node(1).check([
                        lab.binaries.covol, "volume", "move", "Volume1", "--to", "node2",
                    ])
                }
                try await lab.vm("start", "pathless", "--on", "node2")
                try await console.waitForBeats(10, on: "node2")
                try await lab.node(2).apply(.storage(.fail))
                try await console.waitForBeats(20, on: "node2")
                try await lab.vm("migrate", "pathless", "--to", "node3")
                try await console.waitForBeats(10, on: "node3")
                try await lab.node(2).apply(.storage(.restore))
                try console.requireOneBoot()
                try console.requireContinuity()
                try await lab.stopAndCheck("pathless", console)
            }
        }

        /// No node reaches the LUN for a while: the guest waits, or is halted, and goes on.
        @Test func itOutlivesAVolumeThatIsGone() async throws {
            try await withMachine("waits") { lab, console in
                try await lab.vm("start", "waits", "--on", "node2")
                try await console.waitForBeats(10, on: "node2")
                for node in lab.nodes { try await node.apply(.storage(.fail)) }
                try await Task.sleep(for: .seconds(5))
                let before = console.lastRecord
                for node in lab.nodes { try await node.apply(.storage(.restore)) }
                let deadline = Clock.nowSeconds + 60
                while console.lastRecord < before + 10 {
                    try require(Clock.nowSeconds < deadline, "it writes nothing after a minute")
                    try await Task.sleep(for: .milliseconds(50))
                }
                try await lab.waitUntilServing()
                try console.requireOneBoot()
                try console.requireContinuity()
                try await lab.stopAndCheck("waits", console)
            }
        }

        /// Without a record and without an epoch: QEMU's own lock on the image holds for the cluster.
        @Test func theImageLockAloneKeepsASecondCopyOut() async throws {
            try await withMachine("locked") { lab, console in
                try await lab.vm("start", "locked", "--on", "node1")
                try await console.waitForBeats(5, on: "node1")
                let node = lab.node(3)
                let second = try await node.run(
                    [
                        "timeout", "10", "qemu-system-x86_64", "-machine", "q35,accel=tcg",
                        "-display",
                        "none", "-nodefaults", "-blockdev",
                        "driver=file,node-name=f,filename=\(node.volumePath)/locked/disk0.raw,"
                            + "cache.direct=on,locking=on",
                        "-device", "virtio-blk-pci,drive=f",
                    ], timeoutSeconds: 30)
                #expect(second.status == 1, "\(second.status) \(second.stderr)")
                #expect(second.stderr.contains("lock"), "\(second.stderr)")
                try await console.waitForBeats(5, on: "node1")
            }
        }

        /// A daemon is killed and started again, time after time, while its machine writes: the guest
        /// waits, and goes on. Also while its node coordinates the volume, and with a disk that grows.
        @Test(arguments: ["raw", "qcow2"])
        func aKilledDaemonsMachineGoesOn(_ format: String) async throws {
            let seed = SeededGenerator.seedOfThisRun
            print("aKilledDaemonsMachineGoesOn: SEED=\(seed), \(Self.rounds) rounds")
            var random = SeededGenerator(seed: seed)
            let name = "served-\(format)"
            let disk = ["--disk", "32M,format=\(format)"]
            try await withMachine(name, options: disk) { lab, console in
                try await lab.vm("start", name, "--on", "node2")
                try await console.waitForBeats(10, on: "node2")
                let began = Clock.nowSeconds
                for round in 0..<Self.rounds {
                    if round % 3 == 1, try await lab.coordinator().name != "node2" {
                        try await lab.node(1).check([
                            lab.binaries.covol, "volume", "move", lab.plan.options.volumeName,
                            "--to", "node2",
                        ])
                    }
                    try await Task.sleep(for: .milliseconds(random.below(300)))
                    try await lab.node(2).apply(.daemon(.kill))
                    try await lab.node(2).apply(.daemon(.start))
                    try await lab.waitUntilServing()
                    try await console.waitForBeats(120, on: "node2")
                }
                try console.requireOneBoot()
                #expect(lab.copies(of: name) == ["node2"])
                // A request that went with the daemon halts the guest for a moment.
                try await lab.wait(untilMachine: name, is: "Running")
                print("longest silence of the guest: \(console.longestGap(sinceSeconds: began)) s")
                try console.requireContinuity()
                try await lab.stopAndCheck(name, console)
            }
        }

        /// Where nobody kept what the daemon served, its machine is booted again, by whoever is first.
        @Test func aMachineThatLostItsDisksIsBootedAgain() async throws {
            try await withMachine("orphan") { lab, console in
                try await lab.vm("start", "orphan", "--on", "node2")
                try await console.waitForBeats(5, on: "node2")
                try await lab.node(2).killDaemonAndHolder()
                try await lab.node(2).apply(.daemon(.start))
                try await lab.waitUntilServing()
                let deadline = Clock.nowSeconds + 60
                while console.boots.count < 2 {
                    try require(Clock.nowSeconds < deadline, "it was not booted again")
                    try await Task.sleep(for: .milliseconds(50))
                }
                let node = try #require(try await lab.shownMachine("orphan").node)
                try await console.waitForBeats(5, on: node)
                #expect(lab.copies(of: "orphan") == [node])
                try console.requireContinuity()
            }
        }
    }
}
