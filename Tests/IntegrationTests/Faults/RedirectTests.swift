import LabKit
import Testing

extension IntegrationTests {
    /// Paths that fail, and volumes that are redirected by hand.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct RedirectTests {
        @Test(arguments: [false, true])
        func pathFails(ofCoordinator: Bool) async throws {
            try await breakPath("fail-\(ofCoordinator)", .fail, ofCoordinator: ofCoordinator)
        }

        /// Reads are redirected after a bound, writes when the path's key is preempted.
        @Test(arguments: [false, true])
        func pathHangs(ofCoordinator: Bool) async throws {
            try await breakPath("hang-\(ofCoordinator)", .hang, ofCoordinator: ofCoordinator)
        }

        /// A slow path works: nothing is redirected, nobody takes over.
        @Test(arguments: [false, true])
        func pathIsSlow(ofCoordinator: Bool) async throws {
            try await SharedLab.useAndMend { lab in
                let victim =
                    try await ofCoordinator ? lab.currentCoordinator() : lab.others()[0]
                let before = try await lab.currentCoordinator()
                let report = try await lab.underLoad(
                    "slow-\(ofCoordinator)", on: lab.nodes, [.write, .metadata]
                ) {
                    try await victim.apply(.storage(.slow(milliseconds: 100)))
                    try await Task.sleep(for: .seconds(FaultSettings.seconds(5)))
                    #expect(try await lab.state(of: victim)?.isDirect == true)
                    try await victim.apply(.storage(.restore))
                }
                report.expectNoErrors("slow")
                #expect(try await lab.currentCoordinator().name == before.name)
            }
        }

        private func breakPath(
            _ name: String, _ fault: LabFault.Storage, ofCoordinator: Bool
        ) async throws {
            try await SharedLab.useAndMend { lab in
                let coordinator = try await lab.currentCoordinator()
                let victim = try await ofCoordinator ? coordinator : lab.others()[0]
                let since = try await lab.lastEvent()
                let report = try await lab.underLoad(
                    name, on: lab.nodes, [.fio, .write, .read, .metadata]
                ) {
                    try await victim.apply(.storage(fault))
                    try await lab.wait(
                        for: victim, state: "Redirected", reasons: ["NoDiskConnectivity"],
                        atMostSeconds: 40)
                    if ofCoordinator { _ = try await lab.waitForTakeover(from: victim) }
                    for node in lab.nodes where node.name != victim.name {
                        #expect(try await lab.state(of: node, from: node)?.isDirect == true)
                    }
                    let landed = try await lab.lastSequence()
                    try await Task.sleep(for: .seconds(FaultSettings.seconds(3)))
                    #expect(try await lab.landed(by: victim, after: landed).isEmpty)
                    try await victim.apply(.storage(.restore))
                    try await lab.wait(for: victim, state: "Direct", atMostSeconds: 30)
                    // What it sends now goes the direct way again.
                    let restored = try await lab.lastSequence()
                    var isDirectAgain = false
                    for _ in 0..<40 where !isDirectAgain {
                        try await Task.sleep(for: .milliseconds(500))
                        isDirectAgain = try await !lab.landed(by: victim, after: restored).isEmpty
                    }
                    #expect(isDirectAgain)
                }
                report.expectNoErrors(name)
                if !ofCoordinator {
                    #expect(try await lab.currentCoordinator().name == coordinator.name)
                }
                try await lab.wait(forEvent: ["path-lost"], of: victim, after: since)
                try await lab.wait(forEvent: ["path-back"], of: victim, after: since)
            }
        }

        /// While it lasts nobody but the coordinator touches the LUN.
        @Test func byHand() async throws {
            try await SharedLab.useAndMend { lab in
                let coordinator = try await lab.currentCoordinator()
                let others = lab.nodes.filter { $0.name != coordinator.name }
                let report = try await lab.underLoad(
                    "by-hand", on: lab.nodes, [.fio, .write, .read, .metadata]
                ) {
                    try await others[0].check(
                        [
                            lab.binaries.covol, "volume", "redirect", "Volume1", "--reason",
                            "a test's",
                        ])
                    let sequence = try await lab.lastSequence()
                    var before: [LUNControl.Path.Counters] = []
                    for node in others { before.append(try await lab.counters(of: node)) }
                    for row in try await lab.states(from: others[1]) {
                        #expect(row.state == "Redirected" && row.reasons == ["UserRequest"])
                    }
                    try await Task.sleep(for: .seconds(FaultSettings.seconds(4)))
                    for (node, counted) in zip(others, before) {
                        #expect(try await lab.landed(by: node, after: sequence).isEmpty)
                        #expect(try await lab.counters(of: node) == counted, "\(node.name)")
                    }
                    #expect(try await !lab.landed(by: coordinator, after: sequence).isEmpty)
                    try await others[1].check(
                        [lab.binaries.covol, "volume", "resume", "Volume1"])
                    try await lab.waitUntilDirect(atMostSeconds: 20)
                }
                report.expectNoErrors("by hand")
            }
        }

        /// The path is dead when the daemon starts: the node serves all the same.
        @Test func startsWithoutPath() async throws {
            try await SharedLab.useAndMend { lab in
                let others = try await lab.others()
                let (victim, other) = (others[0], others[1])
                let since = try await lab.lastEvent()
                try await victim.apply(.storage(.fail))
                try await victim.apply(.daemon(.kill))
                try await victim.apply(.daemon(.start))
                try await lab.wait(
                    for: victim, state: "Redirected", reasons: ["NoDiskConnectivity"],
                    atMostSeconds: 60)
                let sequence = try await lab.lastSequence()
                try await victim.shell(
                    "head -c 3000000 /dev/urandom >started; sync started; sha256sum started >sum")
                try await other.shell("sha256sum -c --quiet sum")
                #expect(try await lab.landed(by: victim, after: sequence).isEmpty)
                try await victim.apply(.storage(.restore))
                try await lab.wait(for: victim, state: "Direct", atMostSeconds: 30)
                try await victim.shell("sha256sum -c --quiet sum")
                try await lab.wait(forEvent: ["path-lost"], of: victim, after: since)
                try await lab.wait(forEvent: ["path-back"], of: victim, after: since)
            }
        }

        @Test func reasonsAreKeptApart() async throws {
            try await SharedLab.useAndMend { lab in
                let (covol, node) = (lab.binaries.covol, try await lab.others()[0])
                let report = try await lab.underLoad("reasons", on: [node], [.write, .read]) {
                    try await node.apply(.storage(.fail))
                    try await lab.wait(
                        for: node, state: "Redirected", reasons: ["NoDiskConnectivity"])
                    try await node.check([covol, "volume", "redirect", "Volume1"])
                    try await lab.wait(
                        for: node, state: "Redirected",
                        reasons: ["NoDiskConnectivity", "UserRequest"])
                    try await node.check([covol, "volume", "resume", "Volume1"])
                    try await lab.wait(
                        for: node, state: "Redirected", reasons: ["NoDiskConnectivity"])
                    try await node.apply(.storage(.restore))
                    try await lab.wait(for: node, state: "Direct")
                }
                report.expectNoErrors("reasons")
            }
        }
    }
}
