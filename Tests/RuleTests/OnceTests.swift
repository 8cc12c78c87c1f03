import CoordinatorCore
import Glibc
import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorService
@testable import HostFileSystem

extension RealVolumes {
    /// Rule once, over crashes of the coordinator.
    @Suite struct Once {
        struct Run: Sendable, CustomTestStringConvertible {
            var kind: FileSystemKind
            var step: OnceCase.Step
            var isControl = false
            var testDescription: String {
                "\(kind.rawValue), \(step)\(isControl ? ", without the rule" : "")"
            }

            static let all: [Run] = FileSystemKind.allCases.flatMap { kind in
                OnceCase.Step.allCases.map { Run(kind: kind, step: $0) }
                    + [
                        Run(kind: kind, step: .performed, isControl: true),
                        Run(kind: kind, step: .recorded, isControl: true),
                    ]
            }
        }

        /// Every kind of operation, cut short after its intent, after itself, and after its record:
        /// asked for again, it is done once, and says so.
        @Test(arguments: Run.all) func everyOperation(_ run: Run) async throws {
            try await CrashFixture.run(run.kind) { fixture in
                let node = PersistentNode("node1")
                let sequences = 1000...
                let (cases, victim) = try await fixture.life { coordinator, volume in
                    let (cases, victim) = try coordinator.pool.perform {
                        try OnceCase.all(volume)
                    }
                    try volume.sync()
                    try coordinator.pool.perform { [runner = coordinator.runner] in
                        for (slot, found) in cases.enumerated() {
                            let key = OnceKey(
                                session: node.identity, slot: UInt16(slot),
                                sequence: UInt64(sequences.lowerBound + slot))
                            try found.take(to: run.step, runner, key)
                        }
                    }
                    try volume.sync()
                    return (cases, victim)
                }
                let rules = run.isControl ? SafetyRules.all.subtracting(.once) : .all
                let wrong = try await fixture.life(
                    attached: ["node1"], rules: rules, crashes: false
                ) { coordinator, volume in
                    #expect(coordinator.graceWaitingFor == ["node1"])
                    _ = try await node.join(
                        coordinator, reclaiming: [.open(victim, OpenID(7))])
                    var wrong: [String] = []
                    for (slot, found) in cases.enumerated() {
                        let result = await node.call(
                            found.operation, UInt64(sequences.lowerBound + slot), UInt16(slot),
                            payload: found.payload)
                        if case .failed(let error) = result {
                            wrong.append("\(found.operation): \(error)")
                        } else if try !coordinator.pool.perform({ try found.isDoneOnce(volume) }) {
                            wrong.append("\(found.operation): done twice, or not")
                        }
                    }
                    let shown = await node.call(.attributes(victim))
                    guard case .attributes(let attributes) = shown else {
                        wrong.append("the hidden file is gone: \(shown)")
                        return wrong
                    }
                    if attributes.linkCount != 0 { wrong.append("the hidden file has a name") }
                    coordinator.endSession(node.identity)
                    return wrong
                }
                #expect(wrong.isEmpty != run.isControl, "\(wrong)")
            }
        }

        /// `COVOL_STORM_ROUNDS`: how many crashes.
        static let rounds =
            getenv("COVOL_STORM_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 12

        /// A storm of operations from two nodes, cut short again and again at any moment: each is
        /// answered once, truly, and the volume says the same.
        @Test(arguments: RuleCase.all) func storm(_ run: RuleCase) async throws {
            let rules = run.rules(.once)
            try await CrashFixture.run(run.kind) { fixture in
                let nodes = [PersistentNode("node1"), PersistentNode("node2")]
                let (root, log) = try await fixture.life(crashes: false) { coordinator, volume in
                    let log = try coordinator.pool.perform {
                        try volume.create(
                            Array("log".utf8), in: volume.rootHandle, mode: 0o644,
                            creator: PrivateDirectory.creator
                        ).handle
                    }
                    return (volume.rootHandle, log)
                }
                let isOver = Flag()
                let stormers = nodes.flatMap { node in
                    (0..<4).map { Stormer(node: node, number: $0, root: root, log: log) }
                }
                let storm = Stormer.start(stormers, until: isOver)
                for round in 0..<Self.rounds { try await Self.crash(fixture, rules, nodes, round) }
                isOver.raise()
                let appended = try await Self.lastLife(fixture, rules, nodes, log, storm)
                let wrong = await storm.value + Stormer.problems(of: appended)
                #expect(wrong.isEmpty != run.isControl, "\(wrong.prefix(20))")
            }
        }

        /// A life that ends in a crash while everybody is at work.
        private static func crash(
            _ fixture: CrashFixture, _ rules: SafetyRules, _ nodes: [PersistentNode],
            _ round: Int
        ) async throws {
            try await fixture.life(attached: ["node1", "node2"], rules: rules) {
                coordinator, _ in
                let before = nodes.map(\.answers)
                for node in nodes { _ = try await node.join(coordinator) }
                // On a busy machine it takes longer until everybody is at work.
                while zip(nodes, before).contains(where: { $0.answers < $1 + 10 }) {
                    try await Task.sleep(for: .milliseconds(2))
                }
                try await Task.sleep(for: .milliseconds(40 + 13 * (round % 5)))
            }
            for node in nodes { node.leave() }
        }

        /// Lets everybody come to an end; returns what is in the log.
        private static func lastLife(
            _ fixture: CrashFixture, _ rules: SafetyRules, _ nodes: [PersistentNode],
            _ log: FileHandle, _ storm: Task<[String], Never>
        ) async throws -> [UInt8] {
            try await fixture.life(
                attached: ["node1", "node2"], rules: rules, crashes: false
            ) { coordinator, volume in
                for node in nodes { _ = try await node.join(coordinator) }
                _ = await storm.value
                for node in nodes { coordinator.endSession(node.identity) }
                return try coordinator.pool.perform {
                    let size = try volume.attributes(log).sizeBytes
                    var bytes = [UInt8](repeating: 0, count: Int(size))
                    _ = try bytes.withUnsafeMutableBytes {
                        try volume.read(log, offsetBytes: 0, into: $0)
                    }
                    return bytes
                }
            }
        }

        /// A flush that fails is nobody's error: requests wait for the next coordinator.
        @Test(arguments: FileSystemKind.allCases) func silentAfterAFailedFlush(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let node = PersistentNode("node1")
                let failures = Mutex(0)
                let creator = VolumeProtocol.Creator(userID: 0, groupID: 0, umask: 0)
                let made = try await fixture.life(
                    crashes: false, onFailure: { _ in failures.withLock { $0 += 1 } }
                ) { coordinator, volume in
                    _ = try await node.join(coordinator)
                    try coordinator.pool.perform { [runner = coordinator.runner] in
                        try runner.proveWritable()
                    }
                    try volume.shutdown(.noLogFlush)
                    let name = NameInDirectory(
                        parent: coordinator.root.handle, name: Array("made".utf8))
                    let task = Task {
                        await node.call(.makeDirectory(name, mode: 0o755, creator))
                    }
                    _ = try await FeatureSupport.eventually {
                        failures.withLock { $0 } == 1 ? true : nil
                    }
                    await #expect(throws: Refusal.notCoordinator) {
                        try await coordinator.request(
                            node.identity, sequence: node.nextSequence(), .statistics)
                    }
                    node.leave()
                    return task
                }
                try await fixture.life(attached: ["node1"], crashes: false) { coordinator, _ in
                    _ = try await node.join(coordinator)
                    guard case .entry = await made.value else {
                        Issue.record("\(await made.value)")
                        return
                    }
                    coordinator.endSession(node.identity)
                }
                #expect(failures.withLock { $0 } == 1)
            }
        }

        /// The kernel calls a handle stale when its inode cannot be read: only where the volume still
        /// takes writes is that the answer.
        @Test(arguments: FileSystemKind.allCases) func staleOnlyWhereTheVolumeLives(
            _ kind: FileSystemKind
        ) async throws {
            try await CrashFixture.run(kind) { fixture in
                let node = PersistentNode("node1")
                try await fixture.life(crashes: false) { coordinator, volume in
                    _ = try await node.join(coordinator)
                    let name = NameInDirectory(
                        parent: coordinator.root.handle, name: Array("gone".utf8))
                    let creator = VolumeProtocol.Creator(userID: 0, groupID: 0, umask: 0)
                    guard
                        case .entry(let file) = await node.call(
                            .makeDirectory(name, mode: 0o755, creator))
                    else {
                        Issue.record("not made")
                        return
                    }
                    #expect(await node.call(.removeDirectory(name)) == .done)
                    #expect(await node.call(.attributes(file.handle)) == .failed(.stale))
                    try volume.shutdown(.noLogFlush)
                    await #expect(throws: Refusal.notCoordinator) {
                        try await coordinator.request(
                            node.identity, sequence: node.nextSequence(), .attributes(file.handle))
                    }
                }
                // The journal is replayed.
                try await fixture.life(crashes: false) { _, _ in }
            }
        }
    }
}

final class Flag: Sendable {
    private let state = Mutex(false)
    var isRaised: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}

/// One thread of a storm: it makes, moves and removes names of its own, and appends to a common log.
struct Stormer: Sendable {
    static let recordBytes = 500
    let node: PersistentNode
    let number: Int
    let root: FileHandle
    let log: FileHandle

    /// Returns what went wrong in any of them.
    static func start(_ stormers: [Stormer], until isOver: Flag) -> Task<[String], Never> {
        Task {
            await withTaskGroup(of: [String].self) { group in
                for stormer in stormers { group.addTask { await stormer.run(until: isOver) } }
                return await group.reduce(into: []) { $0 += $1 }
            }
        }
    }

    private var tag: UInt8 { UInt8(number) + (node.identity.name == "node1" ? 0 : 100) }

    /// Every record is there once, whole, in each writer's own order; returns what is not so.
    static func problems(of log: [UInt8]) -> [String] {
        guard log.count % recordBytes == 0 else { return ["the log is \(log.count) bytes long"] }
        var problems: [String] = []
        var next = [UInt8: Int]()
        for start in stride(from: 0, to: log.count, by: recordBytes) {
            let round = next[log[start], default: 0]
            let body = log[(start + 1)..<(start + recordBytes)]
            if !body.allSatisfy({ $0 == UInt8(round % 251) }) {
                problems.append("record \(start / recordBytes) is not \(log[start])'s \(round)")
            }
            next[log[start]] = round + 1
        }
        if next.count < 8 { problems.append("only \(next.count) wrote") }
        return problems
    }

    /// Returns what went wrong.
    private func run(until isOver: Flag) async -> [String] {
        let creator = VolumeProtocol.Creator(userID: 0, groupID: 0, umask: 0)
        var wrong: [String] = []
        var round = 0
        func expect(_ what: String, _ result: OperationResult) {
            if case .failed(let error) = result { wrong.append("\(what) \(round): \(error)") }
        }
        func name(_ text: String) -> NameInDirectory {
            NameInDirectory(
                parent: root, name: Array("\(text)-\(node.identity.name)-\(number)-\(round)".utf8))
        }
        while !isOver.isRaised {
            let open = node.newOpen()
            let made = await node.call(
                .create(name("a"), mode: 0o600, creator, open: open, exclusive: true))
            expect("create", made)
            guard case .entry(let file) = made else { return wrong }
            node.opened(file.handle, open)
            await replace(name("r"), name("s"), creator, expect)
            expect(
                "attribute",
                await node.call(
                    .setExtendedAttribute(
                        file.handle, name: Array("user.x".utf8), value: [1], flags: 1)))
            expect("link", await node.call(.link(file.handle, name("b"))))
            expect("rename", await node.call(.rename(name("a"), to: name("c"), flags: 1)))
            let record = [tag] + [UInt8](repeating: UInt8(round % 251), count: Self.recordBytes - 1)
            expect("append", await node.call(.write(log, offsetBytes: 0, .append), payload: record))
            expect("mkdir", await node.call(.makeDirectory(name("d"), mode: 0o700, creator)))
            expect("unlink", await node.call(.unlink(name("b"))))
            expect("rmdir", await node.call(.removeDirectory(name("d"))))
            expect("unlink", await node.call(.unlink(name("c"))))
            expect("release", await node.release(file.handle, open))
            round += 1
        }
        return wrong
    }

    /// An unnamed file gets a name, and then that of a file that is open; both stay usable until
    /// their last close.
    private func replace(
        _ name: NameInDirectory, _ other: NameInDirectory,
        _ creator: VolumeProtocol.Creator, _ expect: (String, OperationResult) -> Void
    ) async {
        let (open, otherOpen) = (node.newOpen(), node.newOpen())
        let made = await node.call(
            .createUnnamed(root, mode: 0o600, creator, open: open))
        expect("unnamed", made)
        guard case .entry(let file) = made else { return }
        node.opened(file.handle, open)
        let second = await node.call(
            .create(other, mode: 0o600, creator, open: otherOpen, exclusive: true))
        expect("create", second)
        guard case .entry(let covered) = second else { return }
        node.opened(covered.handle, otherOpen)
        expect("write", await node.call(.write(file.handle, offsetBytes: 0, []), payload: [1]))
        expect("link unnamed", await node.call(.link(file.handle, name)))
        expect("rename over", await node.call(.rename(name, to: other, flags: 0)))
        expect("covered", await node.call(.attributes(covered.handle)))
        expect("release covered", await node.release(covered.handle, otherOpen))
        expect("unlink", await node.call(.unlink(other)))
        expect("unlinked", await node.call(.attributes(file.handle)))
        expect("release", await node.release(file.handle, open))
    }
}
