import BlockDevice
import CLinux
import Glibc
import Synchronization
import Testing
import VolumeModel

@testable import HostFileSystem

@Suite(.enabled(if: VolumeFixture.isRoot, "mounting needs root"))
struct MountTests {
    @Test(arguments: VolumeFixture.kinds)
    func isInNoNamespaceAndExclusive(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            #expect(system("grep -q ' \(fixture.loop.path) ' /proc/self/mountinfo") != 0)
            let second = #expect(throws: HostFileSystemError.self) {
                try HostVolume.mount(device: fixture.loop.path, kind: kind)
            }
            #expect(second?.code == .busy)
            let busy = #expect(throws: HostFileSystemError.self) {
                try HostVolume.proveUnmounted(device: fixture.loop.path, timeoutSeconds: 0.05)
            }
            #expect(busy?.description.contains("may still be mounted") == true)
            // After this the device is free, even with descriptors in the cache.
            _ = try fixture.create("file")
            fixture.volume.close()
            try HostVolume.proveUnmounted(device: fixture.loop.path, timeoutSeconds: 5)
            #expect(code { _ = try fixture.volume.attributes(fixture.root) } == 19)
            #expect(code { try fixture.volume.sync() } == 19)

            let again = try HostVolume.mount(device: fixture.loop.path, kind: kind)
            #expect(again.rootHandle == fixture.root)
            let found = try again.lookup(Array("file".utf8), in: again.rootHandle)
            #expect(found.attributes.kind == .regular)
            again.close()
        }
    }

    @Test func ext4OptionsHoldWhateverTheSuperblockSays() throws {
        try VolumeFixture.run(.ext4) { fixture in
            let path = fixture.loop.path
            let name = path.dropFirst("/dev/".count)
            fixture.volume.close()
            try HostVolume.proveUnmounted(device: path)
            let command = "tune2fs -o journal_data_writeback,nobarrier,discard "
            try #require(system(command + "-e panic \(path) >/dev/null") == 0)
            let volume = try HostVolume.mount(device: path, kind: .ext4)
            defer { volume.close() }
            let shown = try readSmallFile("/proc/fs/ext4/\(name)/options")
            #expect(MountOptions.missingExt4Options(in: shown).isEmpty)
            let other = shown.split(separator: "\n").map { $0 == "barrier" ? "nobarrier" : $0 }
            let missing = MountOptions.missingExt4Options(in: other.joined(separator: "\n"))
            #expect(missing == ["barrier"])
        }
    }

    @Test func saysWhatTheKernelSays() throws {
        try VolumeFixture.run(.ext4) { fixture in
            fixture.volume.close()
            try HostVolume.proveUnmounted(device: fixture.loop.path)
            let error = #expect(throws: HostFileSystemError.self) {
                try HostVolume.mount(device: fixture.loop.path, kind: .xfs)
            }
            #expect(error?.message.contains("failed at the mount") == true, "\(error!)")
            let none = #expect(throws: HostFileSystemError.self) {
                try HostVolume.mount(device: fixture.directory + "/none", kind: .xfs)
            }
            #expect(none?.code == .noEntry)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func peeksAtTheOwnershipMark(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            #expect(try OwnershipMark.peek(fixture.image, kind: kind) == nil)
            let directory = try volume.makeDirectory(
                Array(OwnershipMark.directoryName.utf8), in: fixture.root, mode: 0o700,
                creator: Creator(userID: 0, groupID: 0, umask: 0)
            ).handle
            let file = try volume.create(
                Array(OwnershipMark.fileName.utf8), in: directory, mode: 0o600,
                creator: Creator(userID: 0, groupID: 0, umask: 0)
            ).handle
            try fixture.write(file, at: 0, Array("{\"cluster\":\"a\"}".utf8))
            // A freeze checkpoints the journal, so that it is seen without a replay.
            try volume.freeze()
            try volume.thaw()
            let mark = try OwnershipMark.peek(fixture.image, kind: kind)
            #expect(mark == Array("{\"cluster\":\"a\"}".utf8))
            #expect(try OwnershipMark.peek(fixture.loop.path, kind: kind) == mark)
            let wrong = #expect(throws: HostFileSystemError.self) {
                try OwnershipMark.peek(fixture.image, kind: kind == .xfs ? .ext4 : .xfs)
            }
            #expect(wrong?.description.contains("mounting") == true)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func freezeHoldsChanges(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            let handle = try fixture.create("file")
            let isDone = Atomic(false)
            try volume.freeze()
            try withThread {
                try? volume.truncate(handle, toSizeBytes: 5)
                isDone.store(true, ordering: .sequentiallyConsistent)
            } while: {
                usleep(50_000)
                let early = isDone.load(ordering: .sequentiallyConsistent)
                #expect(!early)
                try volume.thaw()
            }
            let late = isDone.load(ordering: .sequentiallyConsistent)
            #expect(late)
            #expect(try volume.attributes(handle).sizeBytes == 5)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func nothingWorksAfterAShutdown(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind, isChecked: false) { fixture in
            let file = try fixture.create("file")
            try fixture.write(file, at: 0, [1, 2, 3])
            try fixture.volume.shutdown(.noLogFlush)
            #expect(code { _ = try fixture.create("another") } == 5)
            #expect(code { try fixture.write(file, at: 0, [4]) } == 5)
            #expect(code { try fixture.volume.sync() } == 5)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func syncMakesNamesDurable(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind, isChecked: false) { fixture in
            let file = try fixture.create("synced")
            try fixture.volume.sync()
            _ = try fixture.create("lost")
            try fixture.volume.shutdown(.noLogFlush)
            fixture.volume.close()
            try HostVolume.proveUnmounted(device: fixture.loop.path)
            let again = try HostVolume.mount(device: fixture.loop.path, kind: kind)
            defer { again.close() }
            #expect(try again.lookup(Array("synced".utf8), in: again.rootHandle).handle == file)
            // Were this one there, the test would prove nothing of `sync`.
            #expect(code { _ = try again.lookup(Array("lost".utf8), in: again.rootHandle) } == 2)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func anUnlinkedFilesBlocksAreFreed(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            let file = try fixture.create("file")
            let free = try volume.statistics().blocksFree
            try fixture.write(file, at: 0, [UInt8](repeating: 1, count: 8 << 20))
            _ = try fixture.read(file, at: 1, count: 100)
            try volume.unlink(Array("file".utf8), in: fixture.root)
            try volume.sync()
            // XFS frees them in the background.
            for _ in 0..<500 where try volume.statistics().blocksFree + 16 < free { usleep(10_000) }
            #expect(try volume.statistics().blocksFree + 16 >= free)
        }
    }

    @Test func theUmaskOfOtherThreadsStays() throws {
        let before = umask(0o022)
        defer { umask(before) }
        try withThread {
            try? HostThread.prepare()
            let creator = Creator(userID: 7, groupID: 8, umask: 0o077)
            let ids = try? HostThread.run(as: creator) { () throws(ErrorCode) in
                (covol_thread_set_fsuid(.max), covol_thread_set_fsgid(.max))
            }
            #expect(ids?.0 == 7 && ids?.1 == 8)
            umask(0o011)
        } while: {
        }
        #expect(umask(0o022) == 0o022)
    }
}

/// Runs `body` on a thread of its own while `other` runs here, and waits for both.
private func withThread(
    _ body: @escaping @Sendable () -> Void, while other: () throws -> Void
) throws {
    let box = Unmanaged.passRetained(Box(body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    try #require(result == 0)
    defer { pthread_join(thread, nil) }
    try other()
}

private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
