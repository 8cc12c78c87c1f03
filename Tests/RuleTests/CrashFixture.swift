import BlockDevice
import Glibc
import Logging
import NIOCore
import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorService
@testable import HostFileSystem

/// A volume that outlives its coordinators: each is one life, which a crash may end.
final class CrashFixture: Sendable {
    let kind: FileSystemKind
    let image: String
    private let directory: String

    /// Runs a scenario on a fresh volume, and checks the file system at the end.
    static func run(
        _ kind: FileSystemKind, _ body: (CrashFixture) async throws -> Void
    ) async throws {
        let fixture = try CrashFixture(kind)
        defer { Image.removeTree(fixture.directory) }
        try await body(fixture)
        Image.check(fixture.image, kind)
    }

    private init(_ kind: FileSystemKind) throws {
        self.kind = kind
        directory = try Image.makeDirectory()
        image = directory + "/lun"
        try Image.make(image, sizeBytes: Image.sizeBytes)
        try FileSystemMaker.format(image, kind: kind, label: "crash")
    }

    /// One coordinator's life. A crash takes along what is not in the journal on the LUN.
    func life<Result: Sendable>(
        attached: [String] = [], rules: SafetyRules = .all, crashes: Bool = true,
        onFailure: @escaping @Sendable (ErrorCode) -> Void = { _ in },
        _ body: (Coordinator, HostVolume) async throws -> Result
    ) async throws -> Result {
        let loop = try LoopDevice(attaching: image)
        let result: Result
        do {
            let volume = try HostVolume.mount(device: loop.path, kind: kind)
            defer { volume.close() }
            var log = Logger(label: "crash")
            log.logLevel = .critical
            let coordinator = try Coordinator(
                volume: volume, rules: rules, threads: 4, attached: attached, log: log,
                onFailure: onFailure)
            defer { coordinator.stop() }
            result = try await body(coordinator, volume)
            if crashes { try volume.shutdown(.noLogFlush) }
        } catch {
            try? loop.detach()
            throw error
        }
        try HostVolume.proveUnmounted(device: loop.path)
        try loop.detach()
        return result
    }
}

/// A node that asks again, with the same number and slot, until some coordinator has answered.
final class PersistentNode: NodePort {
    private struct State {
        var coordinator: Coordinator?
        var lastSequence: UInt64 = 0
        var lastOpen: UInt64 = 0
        var freeSlots = Array((0..<UInt16(Limits.slotsPerSession)).reversed())
        var opens: [OpenID: FileHandle] = [:]
        var answers = 0
    }

    let identity: NodeIdentity
    private let state = Mutex(State())

    init(_ name: String) {
        identity = NodeIdentity(name: name, incarnation: Incarnation(1))
    }

    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport? { WriteReport() }

    func collectWrites(_ file: FileHandle) async -> WriteReport? { WriteReport() }

    func recallMetadata(_ file: FileHandle) async -> Bool { true }

    /// Takes note of an open, to be told to coordinators to come.
    func opened(_ file: FileHandle, _ open: OpenID) {
        state.withLock { $0.opens[open] = file }
    }

    func release(_ file: FileHandle, _ open: OpenID) async -> OperationResult {
        state.withLock { $0.opens[open] = nil }
        return await call(.release(file, open, WriteReport()))
    }

    /// Opens the session and tells what is held, then lets requests through.
    func join(
        _ coordinator: Coordinator, reclaiming operations: [VolumeProtocol.Operation] = []
    ) async throws -> [OperationResult] {
        coordinator.openSession(identity, port: self)
        var results: [OperationResult] = []
        let opens = state.withLock { $0.opens }.map { Operation.open($0.value, $0.key) }
        for operation in opens + operations + [.reclaimed] {
            results.append(
                try await coordinator.request(identity, sequence: nextSequence(), operation)
                    .result)
        }
        state.withLock { $0.coordinator = coordinator }
        return results
    }

    /// How many requests were answered so far.
    var answers: Int { state.withLock { $0.answers } }

    func leave() { state.withLock { $0.coordinator = nil } }

    func nextSequence() -> UInt64 {
        state.withLock { state in
            state.lastSequence += 1
            return state.lastSequence
        }
    }

    func newOpen() -> OpenID {
        state.withLock { state in
            state.lastOpen += 1
            return OpenID(state.lastOpen)
        }
    }

    func takeSlot() -> UInt16 { state.withLock { $0.freeSlots.popLast() } ?? Operation.noSlot }

    func call(
        _ operation: VolumeProtocol.Operation, payload: [UInt8]? = nil
    ) async -> OperationResult {
        let slot = operation.needsSlot ? takeSlot() : Operation.noSlot
        defer {
            if slot != Operation.noSlot { state.withLock { $0.freeSlots.append(slot) } }
        }
        return await call(operation, nextSequence(), slot, payload: payload)
    }

    func call(
        _ operation: VolumeProtocol.Operation, _ sequence: UInt64, _ slot: UInt16,
        payload: [UInt8]? = nil
    ) async -> OperationResult {
        while true {
            if let coordinator = state.withLock({ $0.coordinator }) {
                let answer = try? await coordinator.request(
                    identity, sequence: sequence, slot: slot, operation,
                    payload: payload.map { ByteBuffer(bytes: $0) })
                if let answer {
                    state.withLock { $0.answers += 1 }
                    return answer.result
                }
            }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}
