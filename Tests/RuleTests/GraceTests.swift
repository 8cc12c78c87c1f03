import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorService
@testable import HostFileSystem

extension RealVolumes {
    /// What outlives a coordinator's crash on the volume itself: hidden files, and growths.
    @Suite struct GraceOverCrashes {
        private static let creator = VolumeProtocol.Creator(userID: 0, groupID: 0, umask: 0)
        private static let block = Limits.blockSizeBytes

        private static func name(_ text: String, _ coordinator: Coordinator) -> NameInDirectory {
            NameInDirectory(parent: coordinator.root.handle, name: Array(text.utf8))
        }

        private static func create(
            _ text: String, _ coordinator: Coordinator, _ node: PersistentNode, _ open: OpenID
        ) async throws -> FileHandle {
            let made = await node.call(
                .create(
                    name(text, coordinator), mode: 0o600, creator, open: open, exclusive: true))
            guard case .entry(let entry) = made else { throw UnexpectedResult(made) }
            return entry.handle
        }

        private static func size(
            _ node: PersistentNode, _ file: FileHandle
        ) async throws -> UInt64 {
            let result = await node.call(.attributes(file))
            guard case .attributes(let shown) = result else { throw UnexpectedResult(result) }
            return shown.sizeBytes
        }

        private static func orphans(_ coordinator: Coordinator) throws -> [FileHandle] {
            try coordinator.pool.perform { [runner = coordinator.runner] in
                try runner.directory.hiddenFiles()
            }
        }

        /// Removed while open: whoever tells that he has it keeps it, with what is in it.
        @Test(arguments: FileSystemKind.allCases) func hiddenFiles(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let (node, other) = (PersistentNode("node1"), PersistentNode("node2"))
                let bytes = pattern(5000, seed: 1)
                let (kept, lost) = try await fixture.life { coordinator, _ in
                    for one in [node, other] { _ = try await one.join(coordinator) }
                    let kept = try await Self.create("kept", coordinator, node, OpenID(1))
                    let lost = try await Self.create("lost", coordinator, other, OpenID(1))
                    _ = await node.call(.write(kept, offsetBytes: 0, []), payload: bytes)
                    for text in ["kept", "lost"] {
                        #expect(
                            await node.call(.unlink(Self.name(text, coordinator))) == .done)
                    }
                    return (kept, lost)
                }
                try await fixture.life(attached: ["node1", "node2"], crashes: false) {
                    coordinator, _ in
                    #expect(try Self.orphans(coordinator).count == 2)
                    let told = try await node.join(
                        coordinator, reclaiming: [.open(kept, OpenID(1))])
                    #expect(told == [.done, .done])
                    #expect(try Self.orphans(coordinator).count == 2, "node2 may yet come")
                    coordinator.forget(node: "node2")
                    #expect(
                        try await FeatureSupport.eventually {
                            try Self.orphans(coordinator) == [kept] ? true : nil
                        } == true)
                    #expect(try await Self.size(node, kept) == 5000)
                    #expect(await node.call(.attributes(lost)) == .failed(.stale))
                    _ = await node.call(.release(kept, OpenID(1), WriteReport()))
                    #expect(
                        try await FeatureSupport.eventually {
                            try Self.orphans(coordinator).isEmpty ? true : nil
                        } == true)
                    coordinator.endSession(node.identity)
                }
            }
        }

        /// Two growths: one node comes back and goes on with its own, the other is gone.
        @Test(arguments: FileSystemKind.allCases) func growths(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let (node, other) = (PersistentNode("node1"), PersistentNode("node2"))
                let visible: UInt64 = 5000
                let bytes = pattern(Int(visible), seed: 1)
                let (kept, lost) = try await fixture.life { coordinator, _ in
                    for one in [node, other] { _ = try await one.join(coordinator) }
                    let kept = try await Self.create("kept", coordinator, node, OpenID(1))
                    let lost = try await Self.create("lost", coordinator, other, OpenID(1))
                    for (one, file) in [(node, kept), (other, lost)] {
                        _ = await one.call(.write(file, offsetBytes: 0, []), payload: bytes)
                        let range = ByteRange(start: visible, end: 64 * Self.block)
                        guard case .growth = await one.call(.layoutGrow(file, range)) else {
                            Issue.record("no growth")
                            continue
                        }
                    }
                    return (kept, lost)
                }
                try await fixture.life(attached: ["node1", "node2"], crashes: false) {
                    coordinator, volume in
                    let claim = GrowthClaim(
                        visibleSizeBytes: visible, allocatedEndBytes: 64 * Self.block)
                    let told = try await node.join(
                        coordinator,
                        reclaiming: [
                            .open(kept, OpenID(1)),
                            .reclaimLayout(kept, [.everything], growth: claim),
                        ])
                    #expect(told == [.done, .done, .done])
                    coordinator.forget(node: "node2")
                    #expect(try await Self.size(node, lost) == visible)
                    // The file is as long as it was granted, and shown as long as it was.
                    let held = try coordinator.pool.perform {
                        try volume.attributes(kept).sizeBytes
                    }
                    #expect(held == 64 * Self.block)
                    #expect(try await Self.size(node, kept) == visible)
                    let back = WriteReport(grownSizeBytes: 3 * Self.block + 1)
                    #expect(
                        await node.call(
                            .layoutReturn(kept, ByteRange(start: 0, end: 0), back)) == .done)
                    #expect(try await Self.size(node, kept) == 3 * Self.block + 1)
                    let notes = try coordinator.pool.perform {
                        [runner = coordinator.runner] in
                        try runner.directory.growth.all().count
                    }
                    #expect(notes == 0)
                    coordinator.endSession(node.identity)
                }
            }
        }

        /// Given back at a size that was acknowledged, and then the crash, before the cut or after it:
        /// that size stays.
        @Test(arguments: FileSystemKind.allCases) func cutShort(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let node = PersistentNode("node1")
                let file = try await fixture.life { coordinator, volume in
                    _ = try await node.join(coordinator)
                    let file = try await Self.create("file", coordinator, node, OpenID(1))
                    _ = await node.call(.layoutGrow(file, Self.range(64)))
                    try coordinator.pool.perform { [runner = coordinator.runner] in
                        try runner.directory.growth.reach(file, sizeBytes: 5 * Self.block)
                        try volume.sync()
                    }
                    return file
                }
                try await fixture.life(attached: ["node1"], crashes: false) {
                    coordinator, volume in
                    // It was given back; that the answer was lost does not bring it back.
                    let claim = GrowthClaim(
                        visibleSizeBytes: 0, allocatedEndBytes: 64 * Self.block)
                    let told = try await node.join(
                        coordinator,
                        reclaiming: [
                            .open(file, OpenID(1)),
                            .reclaimLayout(file, [.everything], growth: claim),
                        ])
                    #expect(told == [.done, .failed(.stale), .done])
                    let size = try await FeatureSupport.eventually {
                        try coordinator.pool.perform {
                            let size = try volume.attributes(file).sizeBytes
                            return size == 5 * Self.block ? size : nil
                        }
                    }
                    #expect(size == 5 * Self.block)
                    coordinator.endSession(node.identity)
                }
            }
        }

        /// Its holder's name is in the note: another node's stale claim is not taken for it.
        @Test(arguments: FileSystemKind.allCases) func anothersGrowth(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let (node, other) = (PersistentNode("node1"), PersistentNode("node2"))
                let file = try await fixture.life { coordinator, _ in
                    for one in [node, other] { _ = try await one.join(coordinator) }
                    let file = try await Self.create("file", coordinator, node, OpenID(1))
                    _ = await node.call(.layoutGrow(file, Self.range(64)))
                    return file
                }
                try await fixture.life(attached: ["node1", "node2"], crashes: false) {
                    coordinator, _ in
                    let claim = GrowthClaim(
                        visibleSizeBytes: 0, allocatedEndBytes: 64 * Self.block)
                    let told: [VolumeProtocol.Operation] = [
                        .open(file, OpenID(1)),
                        .reclaimLayout(file, [.everything], growth: claim),
                    ]
                    let refused = try await other.join(coordinator, reclaiming: told)
                    #expect(refused == [.done, .failed(.stale), .done])
                    let taken = try await node.join(coordinator, reclaiming: told)
                    #expect(taken == [.done, .done, .done])
                    for one in [node, other] { coordinator.endSession(one.identity) }
                }
            }
        }

        private static func range(_ blocks: UInt64) -> ByteRange {
            ByteRange(start: 0, end: blocks * block)
        }

        /// Nothing of the coordinator's is left when the volume leaves the cluster.
        @Test(arguments: FileSystemKind.allCases) func nothingIsLeft(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let node = PersistentNode("node1")
                try await fixture.life(crashes: false) { coordinator, volume in
                    try coordinator.writeMark(Array("{}".utf8))
                    _ = try await node.join(coordinator)
                    let file = try await Self.create("file", coordinator, node, OpenID(1))
                    _ = await node.call(.layoutGrow(file, Self.range(64)))
                    _ = await node.call(.unlink(Self.name("file", coordinator)))
                    await coordinator.drain(timeout: .seconds(30))
                    try coordinator.removeMark()
                    #expect(try volume.find(".covolume") == nil)
                }
            }
        }

        /// A node that lives and never answers: it is known who that is, and no move waits for it.
        @Test func silentNodeHoldsUpNoMove() async throws {
            try await CrashFixture.run(.xfs) { fixture in
                let node = PersistentNode("node1")
                let silent = NodeIdentity(name: "node2", incarnation: Incarnation(1))
                try await fixture.life(crashes: false) { coordinator, _ in
                    _ = try await node.join(coordinator)
                    let file = try await Self.create("file", coordinator, node, OpenID(1))
                    coordinator.openSession(silent, port: SilentPort())
                    let held: [VolumeProtocol.Operation] = [
                        .reclaimed, .open(file, OpenID(1)), .layoutGrow(file, Self.range(64)),
                    ]
                    for (number, operation) in held.enumerated() {
                        let slot = operation.needsSlot ? UInt16(number) : Operation.noSlot
                        let answer = try await coordinator.request(
                            silent, sequence: UInt64(number + 1), slot: slot, operation)
                        if case .failed(let error) = answer.result { Issue.record("\(error)") }
                    }
                    let change = Task { try await Self.size(node, file) }
                    while coordinator.overdueSessions(nanoseconds: 0).isEmpty {
                        try await Task.sleep(for: .milliseconds(2))
                    }
                    #expect(coordinator.overdueSessions(nanoseconds: 0) == [silent])
                    #expect(coordinator.overdueSessions(nanoseconds: 3_600_000_000_000).isEmpty)
                    await coordinator.drain(timeout: .milliseconds(100))
                    #expect(coordinator.overdueSessions(nanoseconds: 0) == [silent])
                    coordinator.forget(node: silent.name)
                    #expect(try await change.value == 0)
                    #expect(coordinator.overdueSessions(nanoseconds: 0).isEmpty)
                    coordinator.endSession(node.identity)
                }
            }
        }

        /// Another process goes on with a node's session: what the one before still has on its way is not
        /// done any more, what it had begun comes to its end first, and what the session holds stays.
        @Test func aSessionGoesOnInAnotherProcess() async throws {
            try await CrashFixture.run(.xfs) { fixture in
                let node = PersistentNode("node1")
                let silent = NodeIdentity(name: "node2", incarnation: Incarnation(1))
                try await fixture.life(crashes: false) { coordinator, _ in
                    _ = try await node.join(coordinator)
                    let file = try await Self.create("file", coordinator, node, OpenID(1))
                    coordinator.openSession(silent, port: SilentPort())
                    func ask(
                        _ sequence: UInt64, _ operation: VolumeProtocol.Operation,
                        _ identity: NodeIdentity = silent
                    ) async throws -> OperationResult {
                        try await coordinator.request(
                            identity, sequence: sequence,
                            slot: operation.needsSlot ? 0 : Operation.noSlot, operation
                        ).result
                    }
                    _ = try await ask(1, .reclaimed)
                    _ = try await ask(2, .open(file, OpenID(1)))
                    _ = try await ask(3, .layoutGrow(file, Self.range(64)))
                    // node1 changes the size, and so waits for what node2 does not give back; a second
                    // order, of node2's, waits behind it.
                    let change = Task { try await Self.size(node, file) }
                    while coordinator.overdueSessions(nanoseconds: 0).isEmpty {
                        try await Task.sleep(for: .milliseconds(2))
                    }
                    let begun = Task { try await ask(4, .synchronize(file)) }
                    try await Task.sleep(for: .milliseconds(50))
                    coordinator.beginAnew(silent, firstSequence: 1000)
                    #expect(!coordinator.isSettled(silent))
                    coordinator.openSession(silent, port: node)
                    await #expect(throws: Refusal.noSession) { try await ask(5, .statistics) }
                    #expect(coordinator.isSettled(node.identity))
                    // The new process answers what is asked.
                    _ = try await change.value
                    _ = try await begun.value
                    #expect(coordinator.isSettled(silent))
                    guard case .statistics = try await ask(1000, .statistics) else {
                        Issue.record("the new process is not served")
                        return
                    }
                    // It has the file open still.
                    let kept = try await ask(1001, .layoutReturn(file, .everything, WriteReport()))
                    #expect(kept == .done)
                    coordinator.endSession(silent)
                    #expect(coordinator.isSettled(silent))
                    coordinator.endSession(node.identity)
                }
            }
        }

        /// Takes every question, and answers none.
        private final class SilentPort: NodePort {
            func recall(
                _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
            ) async -> WriteReport? { nil }

            func collectWrites(_ file: FileHandle) async -> WriteReport? { nil }

            func recallMetadata(_ file: FileHandle) async -> Bool { false }
        }

        /// A planned move: what is under way ends, what comes later is the next coordinator's.
        @Test(arguments: FileSystemKind.allCases) func drained(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let node = PersistentNode("node1")
                let made = try await fixture.life(crashes: false) { coordinator, _ in
                    _ = try await node.join(coordinator)
                    let root = coordinator.root.handle
                    let made = (0..<200).map { number in
                        Task {
                            await node.call(
                                .makeDirectory(
                                    NameInDirectory(
                                        parent: root, name: Array("d\(number)".utf8)),
                                    mode: 0o700, Self.creator))
                        }
                    }
                    try await Task.sleep(for: .milliseconds(1))
                    await coordinator.drain(timeout: .seconds(30))
                    await #expect(throws: Refusal.notCoordinator) {
                        try await coordinator.request(
                            node.identity, sequence: node.nextSequence(), .statistics)
                    }
                    node.leave()
                    return made
                }
                try await fixture.life(attached: ["node1"], crashes: false) { coordinator, _ in
                    _ = try await node.join(coordinator)
                    for task in made {
                        guard case .entry = await task.value else {
                            Issue.record("\(await task.value)")
                            continue
                        }
                    }
                    coordinator.endSession(node.identity)
                }
            }
        }
    }
}
