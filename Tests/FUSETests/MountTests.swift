import FUSE
import Glibc
import Testing
import VolumeModel

@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct MountTests {
    @Test(arguments: MountFixture.transports)
    func metadata(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        #expect(fixture.mount.connectionID > 0)
        #expect(fixture.mount.flags.isSuperset(of: [.posixACL, .handleKillPrivilegesV2]))
        try fixture.bounded { root in
            let descriptor = open(root + "/one", O_RDWR | O_CREAT | O_EXCL, 0o640)
            #expect(descriptor >= 0)
            var status = stat()
            #expect(fstat(descriptor, &status) == 0)
            #expect(status.st_mode == 0o100640)
            #expect(status.st_mtim.tv_nsec == 123_456_789)
            #expect(ftruncate(descriptor, 12345) == 0)
            #expect(stat(root + "/one", &status) == 0)
            #expect(status.st_size == 12345)
            #expect(close(descriptor) == 0)
            #expect(stat(root + "/missing", &status) == -1 && errno == ENOENT)
            #expect(rename(root + "/one", root + "/two") == 0)
            #expect(stat(root + "/one", &status) == -1 && errno == ENOENT)
            #expect(stat(root + "/two", &status) == 0)
            #expect(symlink("some/where", root + "/link") == 0)
            var target = [CChar](repeating: 0, count: 100)
            #expect(readlink(root + "/link", &target, 100) == 10)
            #expect(mknod(root + "/device", S_IFCHR | 0o600, 5 << 8 | 0x12) == 0)
            #expect(lstat(root + "/device", &status) == 0)
            #expect(status.st_rdev == 5 << 8 | 0x12)
            #expect(unlink(root + "/two") == 0)
            #expect(mkdir(root + "/dir", 0o755) == -1 && errno == EPERM)
            let long = root + "/" + String(repeating: "n", count: 256)
            #expect(stat(long, &status) == -1 && errno == ENAMETOOLONG)
            var space = statvfs()
            #expect(statvfs(root, &space) == 0)
            #expect(space.f_bavail == 400 && space.f_bsize == 4096 && space.f_namemax == 255)
        }
        #expect(fixture.toy.count("rename") == 1)
    }

    @Test(
        arguments: MountFixture.transports,
        [FUSEMountOptions.Readdirplus.off, .automatic, .always])
    func directories(
        transport: FUSEMountOptions.Transport, readdirplus: FUSEMountOptions.Readdirplus
    ) throws {
        var options = FUSEMountOptions()
        options.readdirplus = readdirplus
        let fixture = try MountFixture(transport, options: options)
        defer { fixture.end() }
        let names = try fixture.bounded { root in
            for name in ["a", "eight888", "a-longer-name"] {
                close(open(root + "/" + name, O_RDWR | O_CREAT, 0o600))
            }
            return Self.list(root)
        }
        #expect(names == ["a", "eight888", "a-longer-name"])
        let calls = fixture.toy.state.withLock { $0.directoryCalls }
        #expect(calls.contains(true) == (readdirplus != .off))
        if readdirplus == .always { #expect(!calls.contains(false)) }
    }

    private static func list(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }

    /// Aligned and not, one block and many segments, read back and compared with the image.
    @Test(
        arguments: MountFixture.transports,
        [
            (0, 4096), (4096, 4096), (0, 1 << 20), (1 << 20, 1 << 20), (3, 5), (4095, 2),
            (65536 - 100, 200), (1000, 1 << 20), (7, 65536), (0, 3 << 20), (12345, 2_345_678),
        ])
    func dataRoundTrip(transport: FUSEMountOptions.Transport, range: (Int, Int)) throws {
        let (offset, length) = range
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let descriptor = open(root + "/data", O_RDWR | O_CREAT, 0o600)
            defer { close(descriptor) }
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8)) }
            #expect(pwrite(descriptor, bytes, length, off_t(offset)) == length)
            var back = [UInt8](repeating: 0xee, count: length + 10)
            #expect(pread(descriptor, &back, length + 10, off_t(offset)) == length)
            #expect(back.prefix(length).elementsEqual(bytes))
            #expect(fsync(descriptor) == 0)
            if offset > 0 {
                var first: UInt8 = 1
                #expect(pread(descriptor, &first, 1, 0) == 1)
                #expect(first == 0)
            }
        }
        let state = fixture.toy.state.withLock { ($0.submits, $0.segments, $0.resumed) }
        if length >= 1 << 20 && offset % 4096 == 0 { #expect(state.1 > state.0) }
        if length % 2 == 1 { #expect(state.2 > 0) }
    }

    @Test(arguments: MountFixture.transports)
    func directAndDurableWrites(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let descriptor = open(root + "/direct", O_RDWR | O_CREAT | openDirect | O_DSYNC, 0o600)
            #expect(descriptor >= 0)
            defer { close(descriptor) }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { memory.deallocate() }
            memset(memory.baseAddress!, 0x5a, memory.count)
            #expect(pwrite(descriptor, memory.baseAddress!, memory.count, 8192) == memory.count)
            memset(memory.baseAddress!, 0, memory.count)
            #expect(pread(descriptor, memory.baseAddress!, memory.count, 8192) == memory.count)
            #expect(memory.allSatisfy { $0 == 0x5a })
        }
    }

    @Test(arguments: MountFixture.transports)
    func privateMappingWorksSharedDoesNot(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let descriptor = open(root + "/mapped", O_RDWR | O_CREAT, 0o600)
            defer { close(descriptor) }
            #expect(pwrite(descriptor, "hello", 5, 0) == 5)
            let shared = mmap(nil, 4096, PROT_READ, MAP_SHARED, descriptor, 0)
            #expect(shared == MAP_FAILED && errno == ENODEV)
            let memory = mmap(nil, 4096, PROT_READ, MAP_PRIVATE, descriptor, 0)
            #expect(memory != MAP_FAILED)
            if let memory, memory != MAP_FAILED {
                #expect(memcmp(memory, "hello", 5) == 0)
                munmap(memory, 4096)
            }
        }
    }

    @Test(arguments: MountFixture.transports)
    func unmountWhileBusyThenLazily(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        let descriptor = try fixture.bounded { open($0 + "/busy", O_RDWR | O_CREAT, 0o600) }
        do {
            try fixture.mount.unmount()
            Issue.record("a busy mount was unmounted")
        } catch { #expect(error.code == .busy) }
        try fixture.mount.unmount(lazy: true)
        #expect(fixture.toy.state.withLock { $0.endings } == [])
        // Still served, out of the tree.
        #expect(try fixture.bounded { _ in pwrite(descriptor, "x", 1, 0) } == 1)
        _ = try fixture.bounded { _ in close(descriptor) }
        #expect(eventually { fixture.toy.state.withLock { $0.endings } == [.unmounted] })
    }

    @Test(arguments: MountFixture.transports)
    func movesWhileOpen(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        let other = fixture.directory + "/other"
        try #require(mkdir(other, 0o755) == 0)
        defer { rmdir(other) }
        let descriptor = try fixture.bounded { open($0 + "/file", O_RDWR | O_CREAT, 0o600) }
        do {
            try fixture.mount.move(to: other)
            #expect(fixture.mount.path == other)
            #expect(try fixture.bounded { _ in access(other + "/file", F_OK) } == 0)
        } catch let error as FUSEMountError {
            #expect(error.code == .invalid, "the parent mount is shared: \(error)")
        }
        #expect(try fixture.bounded { _ in pwrite(descriptor, "x", 1, 0) } == 1)
        _ = try fixture.bounded { _ in close(descriptor) }
        try fixture.mount.unmount()
    }
}
