import BlockDevice
import CLinux
import Glibc
import Testing
import VolumeModel
import VolumeProtocol

@testable import HostFileSystem

extension RealVolumes {
    /// Rules fresh-mount and sole-mutator: how the device is mounted, and who may change it.
    @Suite struct Mounts {
        /// The next epoch's coordinator, on another node, made a file; then this node mounts again. Over
        /// a device that somebody kept open and read, ext4 finds old metadata in its page cache.
        /// XFS has a buffer cache of its own, which ends with the mount: there the control shows
        /// nothing, and none is asked for.
        @Test(arguments: RuleCase.all) func freshMount(_ run: RuleCase) throws {
            let directory = try Image.makeDirectory()
            defer { Image.removeTree(directory) }
            let image = directory + "/lun"
            try Image.make(image, sizeBytes: Image.sizeBytes)
            try FileSystemMaker.format(image, kind: run.kind)
            let mine = try LoopDevice(attaching: image)
            let opener = open(mine.path, O_RDONLY | O_CLOEXEC)
            try #require(opener >= 0)
            defer {
                close(opener)
                try? mine.detach()
            }
            // A thread of the shared pool: what it may do must not outlast the test.
            let securebits = covol_thread_get_securebits()
            try HostThread.prepare()
            defer { _ = covol_thread_set_securebits(securebits) }
            try make("before", on: mine.path, run.kind)
            // Whoever looks at a device (blkid, a backup, a curious dd) leaves its page cache full.
            readEverything(opener)
            let theirs = try LoopDevice(attaching: image)
            try make("after", on: theirs.path, run.kind)
            try theirs.detach()

            let isFresh = run.rules(.freshMount).contains(.freshMount)
            let device = isFresh ? try LoopDevice(attaching: image) : mine
            defer { if isFresh { try? device.detach() } }
            let isSeen = sees("after", on: device.path, run.kind)
            #expect(isSeen == !(run.isControl && run.kind == .ext4))
            if !run.isControl { Image.check(image, run.kind) }
        }

        private func make(_ name: String, on device: String, _ kind: FileSystemKind) throws {
            let volume = try HostVolume.mount(device: device, kind: kind)
            defer { volume.close() }
            let creator = HostFileSystem.Creator(userID: 0, groupID: 0, umask: 0)
            let file = try volume.create(
                Array(name.utf8), in: volume.rootHandle, mode: 0o600, creator: creator)
            let bytes = pattern(100_000, seed: 1)
            _ = try bytes.withUnsafeBytes { bytes throws(ErrorCode) in
                try volume.write(file.handle, offsetBytes: 0, bytes)
            }
            try volume.sync()
            volume.close()
            // The kernel ends a mount a little later; a device that others hold too is not exclusive.
            while isMounted(device) { usleep(10_000) }
        }

        private func readEverything(_ fd: Int32) {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            var offset: off_t = 0
            while true {
                let got = pread(fd, &buffer, buffer.count, offset)
                if got <= 0 { return }
                offset += off_t(got)
            }
        }

        private func isMounted(_ device: String) -> Bool {
            let fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC)
            if fd >= 0 { close(fd) }
            return fd < 0
        }

        private func sees(_ name: String, on device: String, _ kind: FileSystemKind) -> Bool {
            guard let volume = try? HostVolume.mount(device: device, kind: kind) else {
                return false
            }
            defer {
                volume.close()
                while isMounted(device) { usleep(10_000) }
            }
            return (try? volume.lookup(Array(name.utf8), in: volume.rootHandle)) != nil
        }

        /// An adopted ext4's superblock asks for options under which the file system would write file
        /// data behind the coordinator's back, or give freed blocks away early.
        @Test(arguments: [false, true]) func explicitOptions(isControl: Bool) throws {
            let directory = try Image.makeDirectory()
            defer { Image.removeTree(directory) }
            let image = directory + "/lun"
            try Image.make(image, sizeBytes: 64 << 20)
            try FileSystemMaker.format(image, kind: .ext4)
            let options = "journal_data_writeback,discard,nobarrier,nodelalloc"
            try #require(Image.run("tune2fs -o \(options) \(image) >/dev/null 2>&1") == 0)
            let loop = try LoopDevice(attaching: image)
            defer { try? loop.detach() }
            let name = loop.path.dropFirst("/dev/".count)
            let shown: () -> Set<String> = {
                let text = Image.text(of: "/proc/fs/ext4/\(name)/options")
                return Set(text.split(separator: "\n").map(String.init))
            }
            let needed: Set = ["data=ordered", "nodiscard", "barrier", "errors=remount-ro"]
            if isControl {
                let descriptors = try HostVolume.mountDetached(
                    device: loop.path, kind: .ext4, settings: [], isReadOnly: false)
                let taken = shown()
                #expect(taken.isSuperset(of: ["data=writeback", "discard", "nobarrier"]))
                #expect(!MountOptions.missingExt4Options(in: taken.joined(separator: "\n")).isEmpty)
                withExtendedLifetime(descriptors) {}
            } else {
                let volume = try HostVolume.mount(device: loop.path, kind: .ext4)
                #expect(shown().isSuperset(of: needed), "\(shown())")
                volume.close()
            }
            try HostVolume.proveUnmounted(device: loop.path)
        }

        /// The private mount is in no process's mount namespace; mounted by hand it is.
        @Test(arguments: FileSystemKind.allCases) func isInNoNamespace(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind, nodes: 1) { fixture in
                #expect(!Self.mountInformation().contains(fixture.loop.path))
            }
            let directory = try Image.makeDirectory()
            defer { Image.removeTree(directory) }
            let image = directory + "/lun"
            try Image.make(image, sizeBytes: Image.sizeBytes)
            try FileSystemMaker.format(image, kind: kind)
            let loop = try LoopDevice(attaching: image)
            defer { try? loop.detach() }
            let point = directory + "/mounted"
            try #require(mkdir(point, 0o700) == 0)
            try #require(Image.run("mount \(loop.path) \(point)") == 0)
            #expect(Self.mountInformation().contains(loop.path))
            try #require(umount2(point, 0) == 0)
            rmdir(point)
        }

        private static func mountInformation() -> String {
            var text = ""
            guard let directory = opendir("/proc") else { return text }
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name.allSatisfy(\.isNumber) { text += Image.text(of: "/proc/\(name)/mountinfo") }
            }
            return text
        }

        /// A copy by the protocol shares no block; a clone made past it does, and a node that holds the
        /// old map then writes into both files.
        @Test(arguments: [false, true]) func noReflink(isControl: Bool) async throws {
            let isDamaged = try await RuleFixture.run(
                .xfs, rules: isControl ? .all.subtracting(.soleMutator) : .all
            ) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let source = try await node.create("source")
                let bytes = pattern(256 << 10, seed: 1)
                try await node.write(source, at: 0, bytes)
                try await node.returnGrowth(source)
                _ = try await node.read(source, at: 0, count: bytes.count)
                let target = try await other.create("target")
                if isControl {
                    try fixture.volume.with(source.handle, .buffered) { source throws(ErrorCode) in
                        try fixture.volume.with(target.handle, .buffered) {
                            target throws(ErrorCode) in
                            _ = try call(covol_clone_file(target, source))
                        }
                    }
                } else {
                    let copied = await other.call(
                        .copyRange(
                            source.handle, sourceOffsetBytes: 0, to: target.handle,
                            targetOffsetBytes: 0, lengthBytes: 1 << 20))
                    #expect(copied.result == .copied(UInt64(bytes.count)))
                    #expect(try !fixture.volume.sharesBlocks(target.handle))
                }
                try await node.write(source, at: 0, pattern(256 << 10, seed: 2))
                return try await other.readRedirected(target.handle, at: 0, count: bytes.count)
                    != bytes
            }
            #expect(isDamaged == isControl)
        }

        /// Files that were reflinked before the volume was adopted are read directly, and written by the
        /// coordinator.
        @Test func adoptedReflinks() async throws {
            try await RuleFixture.run(.xfs) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let (source, clone) = (
                    try await node.create("source"), try await node.create("clone")
                )
                let bytes = pattern(256 << 10, seed: 1)
                try await node.writeRedirected(source.handle, at: 0, bytes)
                try fixture.volume.with(source.handle, .buffered) { source throws(ErrorCode) in
                    try fixture.volume.with(clone.handle, .buffered) { clone throws(ErrorCode) in
                        _ = try call(covol_clone_file(clone, source))
                    }
                }
                let reader = try await other.open("clone")
                #expect(try await other.read(reader, at: 0, count: bytes.count) == bytes)
                #expect(other.directReads > 0)
                try await other.write(reader, at: 4096, pattern(8192, seed: 2))
                #expect(other.directWrites == 0)
                #expect(try await node.read(source, at: 0, count: bytes.count) == bytes)
                #expect(try await node.read(clone, at: 4096, count: 8192) == pattern(8192, seed: 2))
            }
        }

        /// What the coordinator keeps on the volume is nobody's to see, to make or to remove.
        @Test(arguments: FileSystemKind.allCases) func ownDirectoryIsHidden(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let node = fixture.node
                let own = node.name(".covolume")
                let file = try await node.create("file")
                func code(_ operation: Operation) async -> OperationResult {
                    await node.call(operation).result
                }
                #expect(await code(.lookup(own)) == .failed(.noEntry))
                let refused: [Operation] = [
                    .create(own, mode: 0o600, FakeNode.creator, open: OpenID(9), exclusive: false),
                    .makeDirectory(own, mode: 0o700, FakeNode.creator),
                    .makeNode(
                        own, mode: FileKind.fifo.rawValue | 0o600, deviceMajor: 0, deviceMinor: 0,
                        FakeNode.creator),
                    .makeSymbolicLink(own, target: [0x78], FakeNode.creator),
                    .link(file.handle, own), .unlink(own), .removeDirectory(own),
                    .rename(own, to: node.name("x"), flags: 0),
                    .rename(node.name("file"), to: own, flags: 0),
                    .rename(node.name("file"), to: own, flags: 1),
                    .rename(node.name("file"), to: own, flags: 2),
                ]
                for operation in refused {
                    #expect(await code(operation) == .failed(.notPermitted), "\(operation)")
                }
                let list = await code(
                    .readDirectory(
                        fixture.root, cookie: 0, maximumBytes: 65536, withAttributes: true))
                guard case .directory(let entries, _) = list else {
                    Issue.record("no list: \(list)")
                    return
                }
                let names = Set(entries.map { String(decoding: $0.entry.name, as: UTF8.self) })
                #expect(names.contains("file") && !names.contains(".covolume"), "\(names)")
                #expect(try await node.lookup("file").handle == file.handle)
            }
        }
    }
}
