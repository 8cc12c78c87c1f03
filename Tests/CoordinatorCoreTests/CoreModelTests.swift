import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Thousands of random requests from three nodes, their commands and answers ending in any order:
/// every request is answered once, nothing is left over, and no command changes blocks that a node
/// still holds.
struct CoreModelTests {
    typealias Fixture = CoreFixture

    private struct World {
        let fixture: CoreFixture
        var violations: [String] = []
        var random: SeededGenerator
        var commands: [(TaskID, Command)] = []
        var questions: [CoordinatorAction] = []
        var replies: [UInt64: Int] = [:]
        /// What each node holds, as told to it.
        var held: [NodeIdentity: [FileHandle: RangeSet]] = [:]
        var operations: [UInt64: (NodeIdentity, Operation)] = [:]
        var opens: [(NodeIdentity, FileHandle, OpenID)] = []
        var sizes: [FileHandle: UInt64] = [:]
        var lastOpen: UInt64 = 0
        var lastSequence: UInt64 = 0

        init(seed: UInt64, rules: SafetyRules) {
            fixture = CoreFixture(rules: rules)
            random = SeededGenerator(seed: seed)
        }
    }

    @Test(arguments: ModelSeeds.all) func nothingIsLost(_ seed: Int) throws {
        let violations = try run(seed, rules: .all)
        #expect(violations.isEmpty, "seed \(seed): \(violations)")
    }

    @Test(arguments: [SafetyRules.recallBeforeRemap, .wholeBlocks]) func controls(
        _ rule: SafetyRules
    ) throws {
        let violations = try (1...4).flatMap { try run($0, rules: .all.subtracting(rule)) }
        #expect(!violations.isEmpty)
    }

    private func run(_ seed: Int, rules: SafetyRules) throws -> [String] {
        var world = World(seed: UInt64(seed), rules: rules)
        let nodes = [Fixture.node1, Fixture.node2, Fixture.node3]
        let files = (1...3).map { Fixture.file(UInt8($0)) }
        for file in files { world.sizes[file] = 64 * Fixture.block }
        var step = 0
        while step < 1500 || !world.commands.isEmpty || !world.questions.isEmpty {
            step += 1
            try #require(step < 50_000, "seed \(seed): no end")
            switch Int.random(in: 0..<3, using: &world.random) {
            case 0 where step < 1500:
                let node = nodes.randomElement(using: &world.random) ?? nodes[0]
                let file = files.randomElement(using: &world.random) ?? files[0]
                request(&world, node, operation(&world, node, file))
            case 1 where !world.commands.isEmpty:
                let index = Int.random(in: 0..<world.commands.count, using: &world.random)
                let (task, command) = world.commands.remove(at: index)
                let session = world.fixture.core.request(of: task)?.session
                let result = perform(&world, command, session)
                take(&world, world.fixture.send(.executed(task, result)))
            case 2 where !world.questions.isEmpty:
                let index = Int.random(in: 0..<world.questions.count, using: &world.random)
                answer(&world, world.questions.remove(at: index))
            default:
                continue
            }
        }
        #expect(world.fixture.core.taskCount == 0, "seed \(seed)")
        #expect(world.replies.count == world.operations.count, "seed \(seed)")
        #expect(world.replies.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        for node in nodes { take(&world, world.fixture.send(.sessionEnded(node))) }
        while let (task, command) = world.commands.popLast() {
            take(&world, world.fixture.send(.executed(task, perform(&world, command, nil))))
        }
        #expect(world.fixture.core.files.isEmpty, "seed \(seed)")
        #expect(world.fixture.core.taskCount == 0, "seed \(seed)")
        return world.violations
    }

    private func operation(
        _ world: inout World, _ node: NodeIdentity, _ file: FileHandle
    ) -> Operation {
        let start = UInt64.random(in: 0..<80, using: &world.random)
        let range = Fixture.blocks(
            start..<(start + UInt64.random(in: 1..<20, using: &world.random)))
        var change = AttributeChange()
        change.sizeBytes = range.startBytes + 7
        switch Int.random(in: 0..<12, using: &world.random) {
        case 0, 1:
            world.lastOpen += 1
            world.opens.append((node, file, OpenID(world.lastOpen)))
            return .open(file, OpenID(world.lastOpen))
        case 2:
            let index = world.opens.firstIndex { $0.0 == node && $0.1 == file }
            guard let index else { return .attributes(file) }
            let open = world.opens.remove(at: index).2
            if !world.opens.contains(where: { $0.0 == node && $0.1 == file }) {
                world.held[node]?[file] = nil
            }
            return .release(file, open, WriteReport(ageNanoseconds: 1))
        case 3, 4, 5: return .layoutGet(file, range)
        case 6: return .setAttributes(file, change)
        case 7: return .write(file, offsetBytes: range.startBytes + 5, [])
        case 8: return .allocate(file, mode: 3, range)
        case 9: return .layoutGrow(file, range)
        case 10: return .attributes(file)
        default:
            return .copyRange(
                file, sourceOffsetBytes: 0, to: Fixture.file(1), targetOffsetBytes: 0,
                lengthBytes: range.lengthBytes)
        }
    }

    private func request(_ world: inout World, _ node: NodeIdentity, _ operation: Operation) {
        world.lastSequence += 1
        world.operations[world.lastSequence] = (node, operation)
        take(
            &world,
            world.fixture.send(
                .request(
                    node, sequence: world.lastSequence, slot: Operation.noSlot, operation,
                    payloadBytes: 5000)))
    }

    private func take(_ world: inout World, _ actions: [CoordinatorAction]) {
        for action in actions {
            switch action {
            case .execute(let task, let command): world.commands.append((task, command))
            case .recall, .collectWrites, .recallMetadata: world.questions.append(action)
            case .refuse: world.violations.append("\(action)")
            case .reply(let node, let sequence, let result, _):
                world.replies[sequence, default: 0] += 1
                guard let operation = world.operations[sequence]?.1 else { continue }
                guard case .layoutGet(let file, _) = operation, case .layout(let grant) = result,
                    world.opens.contains(where: { $0.0 == node && $0.1 == file })
                else { continue }
                world.held[node, default: [:]][file, default: RangeSet()].insert(grant.range)
            }
        }
    }

    private func answer(_ world: inout World, _ question: CoordinatorAction) {
        switch question {
        case .recall(let id, let node, let file, let range, _):
            world.held[node]?[file]?.remove(range)
            take(&world, world.fixture.send(.answered(id, WriteReport(ageNanoseconds: 3))))
        case .collectWrites(let id, _, _):
            take(&world, world.fixture.send(.answered(id, WriteReport(ageNanoseconds: 3))))
        case .recallMetadata(let id, _, _):
            take(&world, world.fixture.send(.answered(id, WriteReport())))
        default: break
        }
    }

    /// Performs a command on a file system that consists of sizes, and looks whether it may.
    private func perform(
        _ world: inout World, _ command: Command, _ session: NodeIdentity?
    ) -> CommandResult {
        func free(_ file: FileHandle, _ range: ByteRange, but own: NodeIdentity? = nil) {
            for (node, layouts) in world.held where node != own {
                let ranges = layouts[file] ?? RangeSet()
                if ranges.overlaps(range) {
                    world.violations.append("\(command) under \(node) \(ranges.ranges)")
                }
            }
        }
        switch command {
        case .perform(.open(let file, _)):
            return .performed(.done, sizeBytes: world.sizes[file])
        case .perform(.attributes(let file)):
            let attributes = Fixture.attributes(file, size: world.sizes[file] ?? 0)
            return .performed(.attributes(attributes), sizeBytes: world.sizes[file])
        case .perform(.setAttributes(let file, let change)):
            let size = change.sizeBytes ?? 0
            let cut = min(size, world.sizes[file] ?? 0)
            free(file, ByteRange(start: cut & ~(Fixture.block - 1), end: .max))
            world.sizes[file] = size
            let attributes = Fixture.attributes(file, size: size)
            return .performed(.attributes(attributes), sizeBytes: size)
        case .perform(.write(let file, let offset, _)):
            let range = ByteRange(offset: offset, length: 5000)
            free(file, range.wholeBlocks(Fixture.block))
            let size = max(world.sizes[file] ?? 0, range.endBytes)
            world.sizes[file] = size
            return .performed(
                .written(offsetBytes: offset, lengthBytes: 5000, sizeBytes: size),
                sizeBytes: size)
        case .perform(.allocate(let file, _, let range)):
            free(file, range)
            return .performed(.done, sizeBytes: world.sizes[file])
        case .perform(.copyRange(_, _, let file, _, let length)):
            free(file, ByteRange(start: 0, end: length))
            let size = max(world.sizes[file] ?? 0, length)
            world.sizes[file] = size
            return .performed(.copied(length), sizeBytes: size)
        case .map(let file, let range):
            let size = world.sizes[file] ?? 0
            let end = min(
                range.endBytes, ByteRange(start: 0, end: size).wholeBlocks(Fixture.block).endBytes)
            let covered = ByteRange(start: min(range.startBytes, end), end: end)
            return .mapped(range: covered, extents: [], sizeBytes: size)
        case .grow(let file, let range, _):
            // The block of an odd end may stay with the asking node: it writes it only as growth.
            free(file, ByteRange(start: range.startBytes, end: .max), but: session)
            world.sizes[file] = range.endBytes
            return .mapped(range: range, extents: [], sizeBytes: range.endBytes)
        case .settle(let file, let report):
            if let size = report.grownSizeBytes, size < world.sizes[file] ?? 0 {
                world.sizes[file] = size
            }
            return .performed(.done, sizeBytes: world.sizes[file])
        case .stat(let file):
            return .attributes(Fixture.attributes(file, size: world.sizes[file] ?? 0))
        default:
            return .done
        }
    }
}
