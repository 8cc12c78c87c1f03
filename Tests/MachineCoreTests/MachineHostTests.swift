import MachineCore
import Testing
import VolumeModel

/// One machine's copies on two nodes, with a store of one record between them.
private struct Pair {
    var record: MachineRecord
    var hosts: [String: MachineHost]
    var actions: [String: [MachineHostAction]] = [:]

    init(rules: SafetyRules = .all, _ change: (inout MachineRecord) -> Void = { _ in }) {
        record = MachineRecord(name: "m", volume: "v", demand: MachineDemand(memoryBytes: 1))
        change(&record)
        hosts = [
            "node1": MachineHost(me: "node1", rules: rules),
            "node2": MachineHost(me: "node2", rules: rules),
        ]
        for node in ["node1", "node2"] {
            send(.found(nil), node)
            send(.lease(isValid: true), node)
            send(.record(record), node)
        }
    }

    mutating func send(_ event: MachineHostEvent, _ node: String) {
        var new: [MachineHostAction] = []
        hosts[node]?.handle(event, timeSeconds: 100, into: &new)
        actions[node, default: []] += new
    }

    mutating func change(_ body: (inout MachineRecord) throws -> Void) rethrows {
        try body(&record)
        for node in ["node1", "node2"] { send(.record(record), node) }
    }

    /// Takes the node's next action, which must be that one.
    mutating func expect(_ action: MachineHostAction, _ node: String) {
        let next = actions[node]?.first
        #expect(next == action)
        if next != nil { actions[node]?.removeFirst() }
    }

    /// Carries out the write that the node wants next; false: the store has another record.
    @discardableResult
    mutating func write(_ node: String) -> Bool {
        guard case .write(let next, let after)? = actions[node]?.first else {
            Issue.record("\(node) writes nothing: \(actions[node] ?? [])")
            return false
        }
        actions[node]?.removeFirst()
        let isCurrent = record == after
        if isCurrent { change { $0 = next } } else { send(.record(record), node) }
        send(.wrote(isCurrent), node)
        return isCurrent
    }

    /// Running on node1, and being sent to node2.
    mutating func beginMigration() throws {
        run()
        try change { try $0.migrate(to: "node2") }
        expect(.receive(2), "node2")
        change { $0.arrival = "node2:9" }
        expect(.send(1, to: "node2", at: "node2:9"), "node1")
    }

    mutating func expectNothing(_ node: String) { #expect(actions[node] ?? [] == []) }

    /// Placed on node1 and running there.
    mutating func run() {
        change { $0.assign(to: "node1") }
        expect(.launch(1, isRestoring: false), "node1")
        send(.launched(1), "node1")
        write("node1")
        expect(.resume(1), "node1")
    }
}

@Suite struct MachineHostTests {
    /// Rule machine-once, and its control: without it the copy runs all the same.
    @Test(arguments: [true, false]) func itRunsOnlyOnceTheRecordSaysSo(withRule: Bool) {
        var pair = Pair(rules: withRule ? .all : .all.subtracting(.machineOnce))
        pair.change { $0.assign(to: "node1") }
        pair.expect(.launch(1, isRestoring: false), "node1")
        pair.send(.launched(1), "node1")
        // Meanwhile another node became the owner: the write fails, and the copy goes.
        let seen = pair.record
        pair.record.assign(to: "node2")
        #expect(pair.record != seen)
        let isWritten = pair.write("node1")
        #expect(!isWritten)
        #expect(pair.actions["node1"]?.contains(.resume(1)) == !withRule)
        guard withRule else { return }
        pair.expect(.kill, "node1")
        pair.expectNothing("node1")
    }

    @Test func aWriteWithoutAnAnswerIsMadeAgain() {
        var pair = Pair()
        pair.change { $0.assign(to: "node1") }
        pair.send(.launched(1), "node1")
        pair.expect(.launch(1, isRestoring: false), "node1")
        guard case .write(let next, _)? = pair.actions["node1"]?.first else {
            Issue.record("nothing is written")
            return
        }
        pair.actions["node1"] = []
        // It was done, and its answer was lost.
        pair.record = next
        pair.send(.record(next), "node1")
        pair.send(.wrote(false), "node1")
        let isWritten = pair.write("node1")
        #expect(isWritten)
        pair.expect(.resume(1), "node1")
    }

    @Test func withoutALeaseNothingStarts() {
        var pair = Pair()
        pair.send(.lease(isValid: false), "node1")
        pair.change { $0.assign(to: "node1") }
        pair.expectNothing("node1")
        pair.send(.lease(isValid: true), "node1")
        pair.expect(.launch(1, isRestoring: false), "node1")
    }

    @Test func aLiveMigrationHandsOver() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.migrate(to: "node2") }
        pair.expectNothing("node1")
        pair.expect(.receive(2), "node2")
        pair.change { $0.arrival = "node2:9" }
        pair.expect(.send(1, to: "node2", at: "node2:9"), "node1")
        pair.send(.arrived(2), "node2")
        // All is there, and the source has not said that it is over: the target waits.
        pair.expectNothing("node2")
        pair.send(.sent(1, .completed), "node1")
        pair.write("node1")
        pair.expect(.kill, "node1")
        pair.write("node2")
        pair.expect(.resume(2), "node2")
        #expect(pair.record.owner == "node2" && pair.record.phase == .running)
        pair.send(.exited(reason: "killed", isGuestsWish: false), "node1")
        pair.expectNothing("node1")
    }

    /// The source is quicker than the target to notice that all is there.
    @Test func aHandOverBeforeTheArrivalWaitsForIt() throws {
        var pair = Pair()
        try pair.beginMigration()
        pair.send(.sent(1, .completed), "node1")
        pair.write("node1")
        pair.expectNothing("node2")
        pair.send(.arrived(2), "node2")
        pair.write("node2")
        pair.expect(.resume(2), "node2")
    }

    /// Also where the target has all of it already.
    @Test func aBrokenMigrationStaysAtItsSource() throws {
        var pair = Pair()
        try pair.beginMigration()
        pair.send(.arrived(2), "node2")
        pair.send(.sent(1, .failed("the stream broke")), "node1")
        pair.write("node1")
        pair.expectNothing("node1")
        pair.expect(.kill, "node2")
        #expect(pair.record.phase == .running && pair.record.owner == "node1")
        #expect(pair.record.reason == "the stream broke")
    }

    @Test func aCancelledMigrationEndsTheStream() throws {
        var pair = Pair()
        try pair.beginMigration()
        try pair.change { try $0.cancelMigration() }
        pair.expect(.cancel(1), "node1")
        pair.expect(.kill, "node2")
        pair.send(.sent(1, .failed("the migration was cancelled")), "node1")
        pair.write("node1")
        #expect(pair.record.phase == .running && !pair.record.isCancelled)
    }

    /// The target has all of it, and is gone before it could be made the owner.
    @Test func aSentCopyRunsOnWhereItsTargetIsLost() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.migrate(to: "node2") }
        pair.change { $0.arrival = "node2:9" }
        pair.expect(.send(1, to: "node2", at: "node2:9"), "node1")
        try pair.change { try $0.cancelMigration() }
        pair.expect(.cancel(1), "node1")
        pair.send(.sent(1, .completed), "node1")
        pair.write("node1")
        pair.expect(.resume(1), "node1")
        #expect(pair.record.phase == .running && pair.record.owner == "node1")
    }

    @Test func aTargetThatCannotReceiveGivesUp() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.migrate(to: "node2") }
        pair.expect(.receive(2), "node2")
        pair.send(.exited(reason: "no QEMU", isGuestsWish: false), "node2")
        pair.write("node2")
        #expect(pair.record.phase == .running && pair.record.owner == "node1")
        #expect(pair.record.reason == "node2 could not receive it: no QEMU")
        pair.expectNothing("node1")
        pair.expectNothing("node2")
    }

    @Test func quickMigrationGoesOverTheSavedState() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.save(for: "node2") }
        pair.expect(.save(1), "node1")
        pair.send(.saved(1, failure: nil), "node1")
        pair.expect(.kill, "node1")
        pair.expectNothing("node2")
        pair.send(.exited(reason: "killed", isGuestsWish: false), "node1")
        pair.write("node1")
        pair.expect(.launch(2, isRestoring: true), "node2")
        pair.send(.launched(2), "node2")
        pair.write("node2")
        pair.expect(.resume(2), "node2")
        #expect(!pair.record.isRestoring)
    }

    @Test func aStateThatCannotBeSavedLetsItRunOn() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.save() }
        pair.expect(.save(1), "node1")
        pair.send(.saved(1, failure: "the volume is full"), "node1")
        pair.write("node1")
        pair.expect(.resume(1), "node1")
        #expect(pair.record.reason == "the volume is full" && pair.record.phase == .running)
    }

    @Test func whatDiesIsPlacedAnewAndWhatShutsDownIsNot() {
        var pair = Pair()
        pair.run()
        pair.send(.exited(reason: "QEMU was killed by signal 11", isGuestsWish: false), "node1")
        pair.write("node1")
        #expect(pair.record.phase == .waiting && pair.record.owner == nil)
        #expect(pair.record.failures == [.init(node: "node1", timeSeconds: 100)])
        var other = Pair()
        other.run()
        other.send(.exited(reason: "QEMU ended", isGuestsWish: true), "node1")
        other.write("node1")
        #expect(other.record.phase == .stopped && other.record.owner == nil)
    }

    @Test func aRestartedDaemonFindsItsMachine() {
        var pair = Pair()
        pair.run()
        var host = MachineHost(me: "node1")
        var actions: [MachineHostAction] = []
        host.handle(.record(pair.record), timeSeconds: 0, into: &actions)
        host.handle(.lease(isValid: true), timeSeconds: 0, into: &actions)
        #expect(actions.isEmpty)
        host.handle(.found(.running(1)), timeSeconds: 0, into: &actions)
        #expect(actions.isEmpty)
        #expect(host.copy == .running(1))
    }

    @Test func aCopyOfAnEarlierEpochGoes() {
        var pair = Pair()
        pair.run()
        var host = MachineHost(me: "node1")
        var actions: [MachineHostAction] = []
        host.handle(.found(.running(1)), timeSeconds: 0, into: &actions)
        var record = pair.record
        record.assign(to: "node1")
        host.handle(.record(record), timeSeconds: 0, into: &actions)
        #expect(actions == [.kill])
    }

    @Test func stoppingAsksThenPulls() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.stop(.shutdown) }
        pair.expect(.stop(.shutdown), "node1")
        try pair.change { try $0.stop(.powerOff) }
        pair.expect(.stop(.powerOff), "node1")
        pair.send(.exited(reason: "QEMU ended", isGuestsWish: false), "node1")
        pair.write("node1")
        #expect(pair.record.phase == .stopped)
    }

    @Test func pausingFollowsTheRecord() throws {
        var pair = Pair()
        pair.run()
        try pair.change { try $0.pause(true) }
        pair.expect(.pause(true), "node1")
        var record = pair.record
        do {
            try record.migrate(to: "node2")
            Issue.record("a paused machine was migrated")
        } catch { #expect(error.description == "m is paused; resume it first") }
        try pair.change { try $0.pause(false) }
        pair.expect(.pause(false), "node1")
    }
}
