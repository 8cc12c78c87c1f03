import MachineCore
import Testing
import VolumeModel

@Suite struct SchedulerTests {
    private func machine(
        _ name: String, gib: UInt64 = 1, priority: MachineDemand.Priority = .medium,
        _ change: (inout MachineRecord) -> Void = { _ in }
    ) -> MachineRecord {
        var record = MachineRecord(
            name: name, volume: "v",
            demand: MachineDemand(memoryBytes: gib << 30, priority: priority))
        change(&record)
        return record
    }

    private func node(
        _ gib: UInt64 = 8, isMember: Bool = true, isDraining: Bool = false, load: Double = 0,
        attachments: Set<String> = ["v"]
    ) -> MachineNode {
        MachineNode(
            isMember: isMember, isDraining: isDraining, memoryBytes: gib << 30, load: load,
            attachments: attachments)
    }

    private func decisions(
        _ nodes: [String: MachineNode], _ machines: [MachineRecord], now: Double = 1000
    ) -> [MachineDecision] {
        MachineScheduler(
            nodes: nodes,
            machines: Dictionary(uniqueKeysWithValues: machines.map { ($0.name, $0) }),
            nowSeconds: now
        ).decisions()
    }

    private func running(_ node: String) -> (inout MachineRecord) -> Void {
        { record in
            record.phase = .running
            record.owner = node
            record.epoch = 1
        }
    }

    @Test func theEmptiestNodeGetsIt() {
        let others = [machine("a", gib: 4, running("node1")), machine("b", running("node2"))]
        let new = machine("new") { $0.phase = .waiting }
        #expect(
            decisions(["node1": node(), "node2": node()], others + [new])
                == [.place("new", on: "node2")])
    }

    @Test func ofEquallyEmptyNodesTheOneWithLessToDoGetsIt() {
        let new = machine("new") { $0.phase = .waiting }
        #expect(
            decisions(["node1": node(load: 1.5), "node2": node(load: 0.25)], [new])
                == [.place("new", on: "node2")])
        // Memory comes first.
        let others = [machine("a", gib: 4, running("node2"))]
        #expect(
            decisions(["node1": node(load: 1.5), "node2": node(load: 0.25)], others + [new])
                == [.place("new", on: "node1")])
    }

    @Test func preferredOwnersComeFirstAndPossibleOnesAlone() {
        let nodes = ["node1": node(), "node2": node(), "node3": node()]
        let preferred = machine("p") {
            $0.phase = .waiting
            $0.demand.preferredOwners = ["node3", "node2"]
        }
        #expect(decisions(nodes, [preferred]) == [.place("p", on: "node3")])
        let possible = machine("q") {
            $0.phase = .waiting
            $0.demand.possibleOwners = ["node2"]
        }
        #expect(decisions(nodes, [possible]) == [.place("q", on: "node2")])
        var down = nodes
        down["node2"]?.isMember = false
        #expect(decisions(down, [possible]).isEmpty)
    }

    @Test func antiAffinityKeepsMachinesApart() {
        let group: (inout MachineRecord) -> Void = { $0.demand.antiAffinityGroup = "db" }
        let there = machine("a") {
            group(&$0)
            running("node1")(&$0)
        }
        let heavy = machine("heavy", gib: 6, running("node2"))
        let new = machine("b") {
            group(&$0)
            $0.phase = .waiting
        }
        let nodes = ["node1": node(), "node2": node()]
        #expect(decisions(nodes, [there, heavy, new]) == [.place("b", on: "node2")])
        // One node alone has to do for both.
        #expect(decisions(["node1": node()], [there, new]) == [.place("b", on: "node1")])
    }

    @Test func memoryIsNotGivenTwice() {
        let waiting = (1...3).map { number in
            machine("m\(number)", gib: 3) { $0.phase = .waiting }
        }
        let result = decisions(["node1": node(8)], waiting)
        #expect(result == [.place("m1", on: "node1"), .place("m2", on: "node1")])
    }

    @Test func aNodeStartsSoManyAtATimeHighPriorityFirst() {
        let waiting =
            (1...3).map { number in machine("m\(number)") { $0.phase = .waiting } }
            + [machine("z", priority: .high) { $0.phase = .waiting }]
        #expect(
            decisions(["node1": node()], waiting)
                == [.place("z", on: "node1"), .place("m1", on: "node1")])
    }

    /// Rule fence-before-forget: without membership alone a node may still write.
    @Test func aLostNodesMachinesWaitForItsFence() {
        let lost = machine("a", running("node1"))
        let gone = node(isMember: false)
        #expect(decisions(["node1": gone, "node2": node()], [lost]).isEmpty)
        let fenced = node(isMember: false, attachments: [])
        #expect(
            decisions(["node1": fenced, "node2": node()], [lost]) == [.place("a", on: "node2")])
        // The control: without the rule it does not wait.
        let hasty = MachineScheduler(
            nodes: ["node1": gone, "node2": node()], machines: ["a": lost], nowSeconds: 0,
            rules: .all.subtracting(.machineOnce))
        #expect(hasty.decisions() == [.place("a", on: "node2")])
        let returned = node(attachments: [])
        #expect(decisions(["node1": returned, "node2": node()], [lost]).isEmpty)
    }

    @Test func whatWasBeingStoppedStaysOff() {
        let lost = machine("a") {
            running("node1")(&$0)
            $0.phase = .stopping
        }
        let nodes = ["node1": node(isMember: false, attachments: []), "node2": node()]
        #expect(decisions(nodes, [lost]) == [.off("a")])
    }

    @Test func itIsStartedWhereItWasThenElsewhereThenNotAtAll() {
        let nodes = ["node1": node(16), "node2": node(8)]
        func failed(_ times: Int, on name: String) -> MachineRecord {
            machine("a") { record in
                record.phase = .waiting
                record.reason = "QEMU failed"
                record.failures = (0..<times).map { _ in .init(node: name, timeSeconds: 990) }
            }
        }
        #expect(decisions(nodes, [failed(2, on: "node2")]) == [.place("a", on: "node2")])
        #expect(decisions(nodes, [failed(3, on: "node2")]) == [.place("a", on: "node1")])
        #expect(
            decisions(nodes, [failed(6, on: "node2")])
                == [.fail("a", reason: "it ended 6 times: QEMU failed")])
        // What was to go on from a saved state keeps it.
        var saved = failed(6, on: "node2")
        saved.isRestoring = true
        MachineDecision.fail("a", reason: "no").apply(to: &saved)
        #expect(saved.phase == .saved && saved.isRestoring && saved.reason == "no")
        // Long ago is forgotten.
        #expect(
            decisions(nodes, [failed(6, on: "node2")], now: 2000) == [.place("a", on: "node1")])
    }

    @Test func aDrainMovesOneAtATimeAndLowPriorityBySavedState() {
        let nodes = ["node1": node(isDraining: true), "node2": node()]
        let low = machine("a", priority: .low, running("node1"))
        let high = machine("b", priority: .high, running("node1"))
        #expect(
            decisions(nodes, [low, high]) == [.migrate("b", to: "node2", isQuick: false)])
        #expect(decisions(nodes, [low]) == [.migrate("a", to: "node2", isQuick: true)])
        var returning = machine("c", running("node2"))
        returning.home = "node1"
        returning.isReturning = true
        #expect(decisions(nodes, [returning]).isEmpty)
        #expect(
            decisions(["node1": node(), "node2": node()], [returning])
                == [.migrate("c", to: "node1", isQuick: false)])
    }

    @Test func aMigrationToALostNodeIsGivenUp() {
        let moving = machine("a") {
            running("node1")(&$0)
            $0.phase = .migrating
            $0.target = "node2"
        }
        #expect(decisions(["node1": node(), "node2": node()], [moving]).isEmpty)
        let gone = ["node1": node(), "node2": node(isMember: false)]
        #expect(decisions(gone, [moving]) == [.cancel("a")])
        var cancelled = moving
        cancelled.isCancelled = true
        #expect(decisions(gone, [cancelled]).isEmpty)
    }

    @Test func whyThereIsNoPlaceIsTold() {
        let scheduler = MachineScheduler(
            nodes: [
                "node1": node(isDraining: true), "node2": node(isMember: false),
                "node3": node(1), "node4": node(attachments: []),
            ], machines: [:], nowSeconds: 0)
        let big = machine("a", gib: 2) { $0.phase = .waiting }
        do {
            Issue.record("it was placed on \(try scheduler.place(for: big))")
        } catch {
            #expect(
                error.description
                    == "node1 is being drained; node2 is down; node3 has too little free memory; "
                    + "node4 does not serve the volume")
        }
    }
}
