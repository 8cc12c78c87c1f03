import CLinux
import CoordinatorService
import FilterCore
import Glibc
import NIOCore
import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

/// A file that a node has open.
struct NodeFile: Sendable {
    var handle: FileHandle
    var index: FileIndex
    var open: OpenID
}

/// A node without FUSE and network: the filter, a descriptor of the LUN's image with O_DIRECT, and the
/// coordinator in the same process. It does what `MountHandler` does, one step at a time where asked.
final class FakeNode: NodePort {
    struct State {
        var filter: FilterCore
        var tickets: [RecallTicket: CheckedContinuation<WriteReport, Never>] = [:]
        var lastTicket: UInt64 = 0
        var lastOpen: UInt64 = 0
        var lastSequence: UInt64 = 0
        var freeSlots = Array((0..<UInt16(Limits.slotsPerSession)).reversed())
        var recalls: [ByteRange] = []
        var metadataRecalls: [FileHandle] = []
        var directWrites = 0
        var directReads = 0
    }

    let identity: NodeIdentity
    let coordinator: Coordinator
    let rules: SafetyRules
    let lun: Int32
    let state: Mutex<State>

    /// Smaller writes that lengthen a file travel with their data, as those of a real mount.
    static let growthMinimumBytes = 64 << 10

    init(_ name: String, _ coordinator: Coordinator, image: String, rules: SafetyRules) throws {
        identity = NodeIdentity(name: name, incarnation: Incarnation(1))
        self.coordinator = coordinator
        self.rules = rules
        lun = Glibc.open(image, O_RDWR | O_CLOEXEC | covol_o_direct)
        try #require(lun >= 0)
        state = Mutex(State(filter: FilterCore(rules: rules)))
        coordinator.openSession(identity, port: self)
    }

    func leave() { coordinator.endSession(identity) }

    deinit { Glibc.close(lun) }

    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    // MARK: What the coordinator asks

    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport? {
        await withCheckedContinuation { continuation in
            finish(
                state.withLock { state in
                    state.recalls.append(range)
                    let ticket = state.newTicket(continuation)
                    let ended = state.filter.recall(
                        file, range, generation, ticket: ticket, nowNanoseconds: Self.now)
                    return state.take(ended.map { [$0] } ?? [])
                })
        }
    }

    func collectWrites(_ file: FileHandle) async -> WriteReport? {
        state.withLock { $0.filter.collectWrites(file, nowNanoseconds: Self.now) }
    }

    func recallMetadata(_ file: FileHandle) async -> Bool {
        state.withLock { state in
            state.metadataRecalls.append(file)
            state.filter.metadata.recall(file)
        }
        return true
    }

    func finish(_ answers: [State.Answer]) {
        for answer in answers { answer.continuation.resume(returning: answer.report) }
    }

    // MARK: What it asks

    func nextSequence() -> UInt64 {
        state.withLock { state in
            state.lastSequence += 1
            return state.lastSequence
        }
    }

    @discardableResult
    func call(
        _ operation: Operation, payload: [UInt8]? = nil, sequence: UInt64? = nil
    ) async -> CoordinatorAnswer {
        let slot = operation.needsSlot ? takeSlot() : Operation.noSlot
        defer { giveBack(slot) }
        let request = state.withLock { $0.filter.metadata.begin(operation) }
        var answer = CoordinatorAnswer(.failed(.notConnected))
        do {
            answer = try await coordinator.request(
                identity, sequence: sequence ?? nextSequence(), slot: slot, operation,
                payload: payload.map { ByteBuffer(bytes: $0) })
        } catch {}
        state.withLock {
            $0.filter.metadata.end(request, operation, answer.result, answer.grant)
        }
        return answer
    }

    /// What the cache says without asking.
    func cached(_ name: String, in parent: FileHandle? = nil) -> CachedEntry? {
        let place = self.name(name, in: parent)
        return state.withLock { $0.filter.cachedEntry(place, nowNanoseconds: Self.now) }
    }

    func cached(_ file: FileHandle) -> FileAttributes? {
        state.withLock { $0.filter.cachedAttributes(file, nowNanoseconds: Self.now) }
    }

    var metadataRecalls: [FileHandle] { state.withLock { $0.metadataRecalls } }

    private func takeSlot() -> UInt16 {
        state.withLock { $0.freeSlots.popLast() } ?? Operation.noSlot
    }

    private func giveBack(_ slot: UInt16) {
        if slot != Operation.noSlot { state.withLock { $0.freeSlots.append(slot) } }
    }

    func newOpen() -> OpenID {
        state.withLock { state in
            state.lastOpen += 1
            return OpenID(state.lastOpen)
        }
    }

    func name(_ name: String, in parent: FileHandle? = nil) -> NameInDirectory {
        NameInDirectory(parent: parent ?? coordinator.root.handle, name: Array(name.utf8))
    }

    static let creator = Creator(userID: 0, groupID: 0, umask: 0o022)

    func create(_ name: String) async throws -> NodeFile {
        let open = newOpen()
        let entry = try await entry(
            .create(self.name(name), mode: 0o644, Self.creator, open: open, exclusive: true))
        return opened(entry.handle, open)
    }

    func createUnnamed() async throws -> NodeFile {
        let open = newOpen()
        let entry = try await entry(
            .createUnnamed(coordinator.root.handle, mode: 0o600, Self.creator, open: open))
        return opened(entry.handle, open)
    }

    func open(_ handle: FileHandle) async throws -> NodeFile {
        let open = newOpen()
        try await done(.open(handle, open))
        return opened(handle, open)
    }

    func open(_ name: String) async throws -> NodeFile {
        try await open(try await lookup(name).handle)
    }

    private func opened(_ handle: FileHandle, _ open: OpenID) -> NodeFile {
        NodeFile(handle: handle, index: state.withLock { $0.filter.open(handle) }, open: open)
    }

    func close(_ file: NodeFile) async throws {
        let report = state.withLock { $0.filter.close(file.index) }
        try await done(.release(file.handle, file.open, report))
    }

    func done(_ operation: Operation) async throws {
        switch await call(operation).result {
        case .done, .attributes, .entry: break
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    func entry(_ operation: Operation) async throws -> FileEntry {
        switch await call(operation).result {
        case .entry(let entry): return entry
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    func lookup(_ name: String) async throws -> FileEntry {
        try await entry(.lookup(self.name(name)))
    }

    func attributes(_ handle: FileHandle) async throws -> FileAttributes {
        switch await call(.attributes(handle)).result {
        case .attributes(let attributes): return attributes
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    func truncate(_ handle: FileHandle, to size: UInt64) async throws {
        var change = AttributeChange()
        change.sizeBytes = size
        try await done(.setAttributes(handle, change))
    }

    func statistics() async throws -> FileSystemStatistics {
        switch await call(.statistics).result {
        case .statistics(let statistics): return statistics
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    var recalls: [ByteRange] { state.withLock { $0.recalls } }
    var directWrites: Int { state.withLock { $0.directWrites } }
    var directReads: Int { state.withLock { $0.directReads } }
}

extension FakeNode.State {
    struct Answer {
        var continuation: CheckedContinuation<WriteReport, Never>
        var report: WriteReport
    }

    mutating func newTicket(
        _ continuation: CheckedContinuation<WriteReport, Never>
    ) -> RecallTicket {
        lastTicket += 1
        let ticket = RecallTicket(number: lastTicket)
        tickets[ticket] = continuation
        return ticket
    }

    mutating func take(_ ended: [EndedRecall]) -> [Answer] {
        ended.compactMap { recall in
            tickets.removeValue(forKey: recall.ticket).map {
                Answer(continuation: $0, report: recall.report)
            }
        }
    }
}
