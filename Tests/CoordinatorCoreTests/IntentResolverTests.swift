import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// A volume of names, sizes and attributes on which operations are done, or done in part.
private struct ModelView: VolumeView {
    var names: [NameInDirectory: FileHandle] = [:]
    var sizes: [FileHandle: UInt64] = [:]
    var attributes: [FileHandle: Set<[UInt8]>] = [:]
    var hidden: Set<FileHandle> = []

    func file(named name: NameInDirectory) throws(ErrorCode) -> FileHandle? { names[name] }
    func sizeBytes(of file: FileHandle) throws(ErrorCode) -> UInt64? { sizes[file] }
    func hasAttribute(_ name: [UInt8], of file: FileHandle) throws(ErrorCode) -> Bool {
        attributes[file]?.contains(name) ?? false
    }
    func isHidden(_ file: FileHandle) throws(ErrorCode) -> Bool { hidden.contains(file) }
}

/// Rule once: what was done is told from what was not.
struct IntentResolverTests {
    typealias Fixture = CoreFixture
    static let (first, second, made) = (Fixture.file(1), Fixture.file(2), Fixture.file(9))
    static let (a, b, free) = (Fixture.name("a"), Fixture.name("b"), Fixture.name("free"))
    static let creator = Creator(userID: 0, groupID: 0, umask: 0)
    static let attribute: [UInt8] = [0x61]
    static let (had, size): ([UInt8], UInt64) = ([0x62], 10_000)

    /// `a` is the first file, `b` the second; the first has an attribute.
    private static var before: ModelView {
        ModelView(
            names: [a: first, b: second], sizes: [first: size, second: 0],
            attributes: [first: [had]], hidden: [])
    }

    /// A command with what it does to the volume, and how it then ends.
    struct Case: Sendable, CustomTestStringConvertible {
        var command: Command
        fileprivate var change: @Sendable (inout ModelView) -> Void
        var result: CommandResult = .performed(.done, sizeBytes: nil)
        var outcome: OnceOutcome = .done
        var testDescription: String { "\(command)" }
    }

    static let entry = CommandResult.performed(.entry(Fixture.entry(made)), sizeBytes: nil)
    static let collapse: UInt32 = 0x08
    static let insert: UInt32 = 0x20

    /// Everything that must not be done twice.
    static let cases: [Case] = [
        Case(
            command: .perform(
                .create(free, mode: 0, creator, open: OpenID(4), exclusive: false)),
            change: { $0.names[free] = made }, result: entry,
            outcome: .entry(made, open: OpenID(4))),
        Case(
            command: .perform(
                .makeNode(free, mode: 0, deviceMajor: 0, deviceMinor: 0, creator)),
            change: { $0.names[free] = made }, result: entry, outcome: .entry(made, open: nil)),
        Case(
            command: .perform(.makeDirectory(free, mode: 0, creator)),
            change: { $0.names[free] = made }, result: entry, outcome: .entry(made, open: nil)),
        Case(
            command: .perform(.makeSymbolicLink(free, target: [1], creator)),
            change: { $0.names[free] = made }, result: entry, outcome: .entry(made, open: nil)),
        Case(
            command: .perform(.link(first, free)), change: { $0.names[free] = first },
            result: .performed(.entry(Fixture.entry(first)), sizeBytes: nil),
            outcome: .entry(first, open: nil)),
        Case(command: .perform(.unlink(a)), change: { $0.names[a] = nil }),
        Case(command: .perform(.removeDirectory(a)), change: { $0.names[a] = nil }),
        Case(
            command: .perform(.rename(a, to: free, flags: 0)),
            change: {
                $0.names[free] = $0.names[a]
                $0.names[a] = nil
            }),
        Case(
            command: .perform(.rename(a, to: b, flags: 0)),
            change: {
                $0.names[b] = $0.names[a]
                $0.names[a] = nil
            }),
        Case(
            command: .perform(.rename(a, to: free, flags: 1)),
            change: {
                $0.names[free] = $0.names[a]
                $0.names[a] = nil
            }),
        Case(
            command: .perform(.rename(a, to: b, flags: 2)),
            change: { ($0.names[a], $0.names[b]) = ($0.names[b], $0.names[a]) }),
        Case(
            command: .hide(a, first),
            change: {
                $0.names[a] = nil
                $0.hidden.insert(first)
            }),
        Case(
            command: .renameHiding(a, to: b, victim: second),
            change: {
                $0.names[b] = first
                $0.names[a] = nil
                $0.hidden.insert(second)
            }),
        Case(
            command: .perform(.allocate(first, mode: collapse, Fixture.blocks(0..<1))),
            change: { $0.sizes[first] = size - 4096 }),
        Case(
            command: .perform(.allocate(first, mode: insert, Fixture.blocks(0..<1))),
            change: { $0.sizes[first] = size + 4096 }),
        Case(
            command: .perform(
                .setExtendedAttribute(first, name: attribute, value: [], flags: 1)),
            change: { $0.attributes[first]?.insert(attribute) }),
        Case(
            command: .perform(.removeExtendedAttribute(first, name: had)),
            change: { $0.attributes[first]?.remove(had) }),
    ]

    @Test(arguments: cases) func doneAndNotDone(_ run: Case) throws {
        let intent = try #require(
            try IntentResolver.intent(
                for: run.command, payloadBytes: 0, Self.before))
        #expect(try IntentResolver.resolve(intent, Self.before) == .notDone)
        var after = Self.before
        run.change(&after)
        #expect(try IntentResolver.resolve(intent, after) == .done(run.outcome))
        #expect(
            IntentResolver.outcome(of: run.command, run.result, hadIntent: true) == run.outcome,
            "found and recorded are the same")
        // A failure takes its intent back.
        #expect(
            IntentResolver.outcome(of: run.command, .failed(.noSpace), hadIntent: true)
                == .failed(.noSpace))
    }

    @Test func unnamedFiles() throws {
        let intent = OnceIntent.makesHidden(Self.made, open: OpenID(3))
        #expect(try IntentResolver.resolve(intent, Self.before) == .notDone)
        var after = Self.before
        after.hidden.insert(Self.made)
        #expect(
            try IntentResolver.resolve(intent, after)
                == .done(.entry(Self.made, open: OpenID(3))))
        let command = Command.perform(
            .createUnnamed(Fixture.root, mode: 0, Self.creator, open: OpenID(3)))
        #expect(
            try IntentResolver.intent(for: command, payloadBytes: 0, Self.before) == nil)
        #expect(
            IntentResolver.outcome(of: command, Self.entry, hadIntent: true)
                == .entry(Self.made, open: OpenID(3)))
    }

    /// An append whose end was not recorded has to go before anybody sees it: its data may be missing.
    @Test func halfAnAppend() throws {
        let command = Command.perform(.write(Self.first, offsetBytes: 0, .append))
        let intent = try #require(
            try IntentResolver.intent(for: command, payloadBytes: 500, Self.before))
        #expect(intent == .appends(Self.first, fromBytes: Self.size))
        #expect(try IntentResolver.resolve(intent, Self.before) == .notDone)
        let written = OnceOutcome.written(
            offsetBytes: Self.size, lengthBytes: 500, sizeBytes: Self.size + 500)
        let result = CommandResult.performed(
            .written(offsetBytes: Self.size, lengthBytes: 500, sizeBytes: Self.size + 500),
            sizeBytes: nil)
        #expect(IntentResolver.outcome(of: command, result, hadIntent: true) == written)
        var after = Self.before
        after.sizes[Self.first] = Self.size + 500
        #expect(
            try IntentResolver.resolve(intent, after)
                == .cutBack(Self.first, sizeBytes: Self.size))
        after.sizes[Self.first] = nil
        #expect(try IntentResolver.resolve(intent, after) == .notDone)
    }

    /// What fails anyway, or may be done again, needs no intent.
    @Test func withoutIntent() throws {
        let first = Self.first
        let harmless: [Command] = [
            .perform(
                .create(Self.a, mode: 0, Self.creator, open: OpenID(1), exclusive: true)),
            .perform(.makeDirectory(Self.a, mode: 0, Self.creator)),
            .perform(.link(first, Self.b)), .perform(.unlink(Self.free)),
            .perform(.removeDirectory(Self.free)),
            .perform(.rename(Self.free, to: Self.a, flags: 0)),
            .perform(.rename(Self.a, to: Self.a, flags: 0)),
            .perform(.write(first, offsetBytes: 5, [])),
            .perform(.setAttributes(first, AttributeChange())),
            .perform(.allocate(first, mode: 3, Fixture.blocks(0..<1))),
            .perform(.allocate(first, mode: Self.collapse, Fixture.blocks(2..<9))),
            .perform(.allocate(first, mode: Self.insert, Fixture.blocks(9..<10))),
            .perform(.allocate(Self.made, mode: Self.insert, Fixture.blocks(0..<1))),
            .perform(.setExtendedAttribute(first, name: Self.had, value: [], flags: 1)),
            .perform(.setExtendedAttribute(first, name: Self.had, value: [], flags: 2)),
            .perform(.removeExtendedAttribute(first, name: Self.attribute)),
            .perform(.lookup(Self.a)), .stat(first), .resolve([Self.a]), .removeHidden(first),
            .map(first, .everything), .hide(Self.free, first),
        ]
        for command in harmless {
            #expect(
                try IntentResolver.intent(for: command, payloadBytes: 5, Self.before) == nil,
                "\(command)")
            #expect(
                IntentResolver.outcome(of: command, .failed(.exists), hadIntent: false) == nil)
        }
        #expect(
            try IntentResolver.intent(
                for: .perform(.write(first, offsetBytes: 0, .append)), payloadBytes: 0,
                Self.before) == nil)
    }

    @Test func outcomesOfTheRest() {
        let first = Self.first
        func outcome(_ operation: VolumeProtocol.Operation, _ result: OperationResult)
            -> OnceOutcome?
        {
            IntentResolver.outcome(
                of: .perform(operation), .performed(result, sizeBytes: nil), hadIntent: false)
        }
        #expect(
            outcome(
                .setAttributes(first, AttributeChange()), .attributes(Fixture.attributes(first)))
                == .attributes(first))
        #expect(
            outcome(
                .copyRange(
                    first, sourceOffsetBytes: 0, to: first, targetOffsetBytes: 9, lengthBytes: 5),
                .copied(5)) == .copied(5))
        #expect(outcome(.allocate(first, mode: 3, .everything), .done) == .done)
        #expect(outcome(.unlink(Self.a), .failed(.noEntry)) == nil)
        #expect(outcome(.attributes(first), .attributes(Fixture.attributes(first))) == nil)
        #expect(outcome(.synchronize(first), .done) == nil)
    }
}
