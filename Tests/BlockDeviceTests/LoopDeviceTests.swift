import Glibc
import Testing
import VolumeModel

@testable import BlockDevice

@Suite(.enabled(if: ImageFixture.isRoot, "loop devices need root"))
struct LoopDeviceTests {
    @Test func attachesWithDirectIOAndDetaches() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 4 << 20)
        try fixture.write(Array("hello".utf8), to: image, at: 4096)
        let loop = try LoopDevice(attaching: image)
        let name = String(loop.path.dropFirst("/dev/".count))
        #expect(readSmallFile("/sys/block/\(name)/loop/dio") == "1\n")
        #expect(readSmallFile("/sys/block/\(name)/loop/autoclear") == "1\n")
        #expect(readSmallFile("/sys/block/\(name)/queue/logical_block_size") == "4096\n")
        #expect(try fixture.read(loop.path, at: 4096, count: 5) == Array("hello".utf8))
        try loop.detach()
        try loop.detach()
        let later = readSmallFile("/sys/block/\(name)/loop/backing_file")
        #expect(later == nil || !later!.contains(fixture.directory))
    }

    @Test func aDetachThatDoesNotHappenIsAnError() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 4 << 20)
        let loop = try LoopDevice(attaching: image)
        let user = try OpenFile(loop.path, flags: O_RDONLY)
        let error = #expect(throws: BlockDeviceError.self) { try loop.detach(timeoutSeconds: 0.1) }
        #expect(error?.description.contains("still attached") == true)
        _ = consume user
        try expectGone(loop.path, fixture.directory)
    }

    @Test func goesByItselfWithItsOwner() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 4 << 20)
        let path = try LoopDevice(attaching: image).path
        try expectGone(path, fixture.directory)
    }

    @Test func saysWhyItCannotAttach() throws {
        let fixture = try ImageFixture()
        let missing = #expect(throws: BlockDeviceError.self) {
            try LoopDevice(attaching: fixture.directory + "/none")
        }
        #expect(missing?.description.contains("No such file") == true)
        let noDirectIO = #expect(throws: BlockDeviceError.self) {
            try LoopDevice(attaching: "/proc/self/status", isReadOnly: true)
        }
        #expect(noDirectIO?.description.contains("direct I/O") == true)
    }

    private func expectGone(_ path: String, _ directory: String) throws {
        let backing = "/sys/block/\(path.dropFirst("/dev/".count))/loop/backing_file"
        for _ in 0..<200 {
            guard readSmallFile(backing)?.contains(directory) == true else { return }
            usleep(10_000)
        }
        Issue.record("\(path) is still attached")
    }
}

@Suite(.enabled(if: ImageFixture.isRoot, "the tools need root"))
struct FileSystemMakerTests {
    @Test(arguments: FileSystemKind.allCases)
    func overwritesOnlyWhenTold(_ kind: FileSystemKind) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image()
        try FileSystemMaker.format(image, kind: kind == .xfs ? .ext4 : .xfs)
        // The second partition table of a GPT lies at the end.
        try fixture.write(Array("EFI PART".utf8), to: image, at: (320 << 20) - 512)
        if kind == .xfs {
            let error = #expect(throws: BlockDeviceError.self) {
                try FileSystemMaker.format(image, kind: kind)
            }
            #expect(error?.message.contains("mkfs.xfs failed") == true)
            #expect(error?.message.contains("existing filesystem") == true)
        }
        try FileSystemMaker.format(image, kind: kind, label: "new", overwrites: true)
        let found = try DeviceInspector.inspect(image)
        #expect(found.fileSystem?.kind == kind && found.fileSystem?.label == "new")
        #expect(found.adoption.isSuitable)
        #expect(
            try fixture.read(image, at: (320 << 20) - 512, count: 8) == [0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func saysWhatIsWrong() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 1 << 20)
        let long = #expect(throws: BlockDeviceError.self) {
            try FileSystemMaker.format(image, kind: .xfs, label: "thirteen char")
        }
        #expect(long?.message.contains("12 bytes") == true)
        let small = #expect(throws: BlockDeviceError.self) {
            try FileSystemMaker.format(image, kind: .xfs)
        }
        #expect(small?.message.contains("mkfs.xfs failed") == true)
        #expect(throws: BlockDeviceError.self) {
            try FileSystemMaker.format(
                fixture.directory + "/none", kind: .ext4, overwrites: true)
        }
    }
}
