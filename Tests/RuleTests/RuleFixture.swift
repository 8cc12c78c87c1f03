import BlockDevice
import CoordinatorService
import Glibc
import Logging
import Testing
import VolumeModel
import VolumeProtocol

@testable import HostFileSystem

/// A fresh file system on an image file, its coordinator, and nodes that reach the image directly.
final class RuleFixture: Sendable {
    let kind: FileSystemKind
    let rules: SafetyRules
    let directory: String
    let image: String
    let loop: LoopDevice
    let volume: HostVolume
    let coordinator: Coordinator
    let nodes: [FakeNode]

    var root: FileHandle { coordinator.root.handle }
    var node: FakeNode { nodes[0] }
    var other: FakeNode { nodes[1] }

    /// Runs a scenario, and takes everything down in reverse order, also when it failed. Where the
    /// rules hold, the file system is checked at the end: a control may have damaged it.
    static func run<Result: Sendable>(
        _ kind: FileSystemKind, rules: SafetyRules = .all, nodes count: Int = 3,
        sizeBytes: UInt64 = Image.sizeBytes, _ body: (RuleFixture) async throws -> Result
    ) async throws -> Result {
        let directory = try Image.makeDirectory()
        defer { Image.removeTree(directory) }
        let image = directory + "/lun"
        try Image.make(image, sizeBytes: sizeBytes)
        try FileSystemMaker.format(image, kind: kind, label: "rules")
        let loop = try LoopDevice(attaching: image)
        let result: Result
        do {
            let volume = try HostVolume.mount(device: loop.path, kind: kind)
            defer { volume.close() }
            let fixture = try RuleFixture(kind, rules, directory, image, loop, volume, count)
            defer { fixture.stop() }
            result = try await body(fixture)
        } catch {
            try? loop.detach()
            throw error
        }
        try HostVolume.proveUnmounted(device: loop.path)
        try loop.detach()
        if rules == .all { Image.check(image, kind) }
        return result
    }

    private init(
        _ kind: FileSystemKind, _ rules: SafetyRules, _ directory: String, _ image: String,
        _ loop: LoopDevice, _ volume: HostVolume, _ nodeCount: Int
    ) throws {
        self.kind = kind
        self.rules = rules
        self.directory = directory
        self.image = image
        self.loop = loop
        self.volume = volume
        var log = Logger(label: "rules")
        log.logLevel = .error
        let coordinator = try Coordinator(volume: volume, rules: rules, threads: 4, log: log)
        self.coordinator = coordinator
        do {
            nodes = try (1...nodeCount).map { number in
                try FakeNode("node\(number)", coordinator, image: image, rules: rules)
            }
        } catch {
            coordinator.stop()
            throw error
        }
    }

    private func stop() {
        for node in nodes { node.leave() }
        coordinator.stop()
    }

    /// What a power cut at this moment leaves on the LUN, mounted elsewhere: a copy of the image's
    /// bytes, with its journal replayed.
    func afterPowerCut<Result>(_ body: (HostVolume) throws -> Result) throws -> Result {
        let copy = image + ".cut"
        try Image.copy(image, to: copy)
        defer { unlink(copy) }
        let loop = try LoopDevice(attaching: copy)
        let result: Result
        do {
            let volume = try mountCopy(loop.path)
            defer { volume.close() }
            result = try body(volume)
        } catch {
            try? loop.detach()
            throw error
        }
        try HostVolume.proveUnmounted(device: loop.path)
        try loop.detach()
        return result
    }

    /// As the coordinator mounts, but beside a mounted file system with the same UUID.
    private func mountCopy(_ device: String) throws -> HostVolume {
        let settings = MountOptions.settings(kind) + (kind == .xfs ? [("nouuid", nil)] : [])
        let descriptors = try HostVolume.mountDetached(
            device: device, kind: kind, settings: settings, isReadOnly: false)
        let handle = try descriptors.root.use { root throws(ErrorCode) in
            try HostVolume.handle(of: root)
        }
        return HostVolume(
            device: device, kind: kind, rootHandle: handle, descriptors: descriptors,
            descriptorsMaximum: 64)
    }

    /// Allocates what is free to a file of its own, all but `leaving`, so that what is freed next is
    /// given out soon.
    func fill(_ name: String = "filler", leaving: UInt64 = 1 << 20) async throws {
        let filler = try await node.create(name)
        var length: UInt64 = 64 << 20
        var offset: UInt64 = 0
        while length >= Limits.blockSizeBytes {
            let range = ByteRange(offset: offset, length: length)
            switch await node.call(.allocate(filler.handle, mode: 0, range)).result {
            case .done: offset += length
            case .failed(.noSpace): length /= 2
            case let result: throw UnexpectedResult(result)
            }
        }
        try await node.truncate(filler.handle, to: offset - leaving)
        try await node.close(filler)
    }
}

struct UnexpectedResult: Error, CustomStringConvertible {
    let description: String
    init(_ result: OperationResult) { description = "an unexpected answer: \(result)" }
}
