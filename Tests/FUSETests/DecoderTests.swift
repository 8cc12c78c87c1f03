import Testing
import VolumeModel

@testable import FUSE

@Suite struct DecoderTests {
    let decoder = FUSEDecoder()

    private func decode(_ opcode: FUSEOpcode, _ bytes: [UInt8]) throws -> FUSERequest {
        try bytes.withUnsafeBytes {
            try decoder.request(opcode: opcode.rawValue, arguments: $0)
        }
    }

    private func bytes(_ build: (inout FUSEEncoder) -> Void) -> [UInt8] {
        var encoder = FUSEEncoder(capacity: 64)
        build(&encoder)
        return encoder.bytes
    }

    @Test func names() throws {
        guard case .lookup(let name) = try decode(.lookup, Array("abc\0".utf8)) else {
            Issue.record("not a lookup")
            return
        }
        #expect(name == Array("abc".utf8))
        #expect(throws: FUSEDecodeError.unterminatedName) {
            _ = try decode(.lookup, Array("abc".utf8))
        }
        for bad in ["\0", "a/b\0", ".\0", "..\0"] {
            #expect(throws: FUSEDecodeError.badName) { _ = try decode(.unlink, Array(bad.utf8)) }
        }
        let long = [UInt8](repeating: 97, count: 256) + [0]
        #expect(throws: FUSEDecodeError.nameTooLong(lengthBytes: 256)) {
            _ = try decode(.lookup, long)
        }
        #expect(FUSEDecodeError.nameTooLong(lengthBytes: 256).reply == .nameTooLong)
        _ = try decode(.lookup, Array(long.dropFirst()))
    }

    @Test func renameHasTwoNames() throws {
        let arguments = bytes {
            $0.u64(42)
            $0.u32(2)
            $0.u32(0)
            $0.raw(Array("from\0to\0".utf8))
        }
        guard
            case .rename(let name, let parent, let newName, let flags) =
                try decode(.rename2, arguments)
        else {
            Issue.record("not a rename")
            return
        }
        #expect(name == Array("from".utf8) && newName == Array("to".utf8))
        #expect(parent == 42 && flags == 2)
    }

    @Test(
        arguments: [(0, 0), (8, 1), (0xfff, 0xfffff), (5, 0x112), (1, 0xff)] as [(UInt32, UInt32)])
    func deviceNumbers(major: UInt32, minor: UInt32) {
        let number = FUSEDecoder.deviceNumber(major: major, minor: minor)
        #expect(FUSEDecoder.device(number) == FUSEDevice(major: major, minor: minor))
    }

    @Test func setattrTakesWhatIsValidOnly() throws {
        let arguments = bytes {
            $0.u32(1 << 3 | 1 << 5 | 1 << 8 | 1 << 6 | 1 << 11)
            $0.u32(0)
            for value in [7, 999, 5, 1, 2, 3] as [UInt64] { $0.u64(value) }
            for value in [1, 2, 3] as [UInt32] { $0.u32(value) }
            $0.u32(0o100777)
            for value in [0, 10, 11, 0] as [UInt32] { $0.u32(value) }
        }
        guard case .setattr(let set) = try decode(.setattr, arguments) else {
            Issue.record("not a setattr")
            return
        }
        var expected = AttributeChange()
        expected.sizeBytes = 999
        expected.modificationTime = .now
        expected.clearsSetID = true
        #expect(set.change == expected)
        #expect(set.handle == 7 && set.lockOwner == nil && set.changeTime == nil)
        #expect(throws: FUSEDecodeError.self) { _ = try decode(.setattr, arguments.dropLast(1)) }
    }

    @Test func countsAreChecked() {
        let forget = bytes {
            $0.u32(.max)
            $0.u32(0)
            $0.zeros(16)
        }
        #expect(throws: FUSEDecodeError.badCount(count: UInt64(UInt32.max), presentBytes: 16)) {
            _ = try decode(.batchForget, forget)
        }
        let write = bytes {
            $0.u64(1)
            $0.u64(0)
            $0.u32(100)
            $0.zeros(20)
            $0.zeros(99)
        }
        write.withUnsafeBytes { arguments in
            _ = #expect(throws: FUSEDecodeError.badCount(count: 100, presentBytes: 99)) {
                _ = try decoder.write(arguments)
            }
        }
        let read = bytes {
            $0.u64(1)
            $0.u64(UInt64(Int64.max))
            $0.u32(100)
            $0.zeros(20)
        }
        read.withUnsafeBytes { arguments in
            _ = #expect(throws: FUSEDecodeError.badValue(UInt64(Int64.max))) {
                _ = try decoder.read(arguments)
            }
        }
    }

    @Test func headersAreChecked() throws {
        func header(_ length: UInt32, extensions: UInt16, tail: Int) -> [UInt8] {
            bytes {
                $0.u32(length)
                $0.u32(1)
                $0.u64(2)
                $0.u64(3)
                $0.zeros(12)
                $0.u16(extensions)
                $0.u16(0)
                $0.zeros(tail)
            }
        }
        let good = try header(56, extensions: 1, tail: 16).withUnsafeBytes {
            try FUSERequestHeader($0)
        }
        #expect(good.argumentBytes == 8 && good.context.unique == 2 && good.context.nodeID == 3)
        for bad in [
            header(57, extensions: 0, tail: 16), header(56, extensions: 3, tail: 16),
            header(40, extensions: 0, tail: 0).dropLast(),
        ] {
            Array(bad).withUnsafeBytes { bytes in
                _ = #expect(throws: FUSEDecodeError.self) { _ = try FUSERequestHeader(bytes) }
            }
        }
    }

    @Test func encodedSizesAreTheKernels() {
        let attributes = ToyFileSystem.attributes(5, mode: 0o100644, size: 10)
        let entry = FUSEEntry(nodeID: 5, attributes: attributes)
        #expect(bytes { $0.attributes(attributes) }.count == 88)
        #expect(bytes { $0.entry(entry) }.count == 128)
        #expect(bytes { $0.entry(nil) }.count == 128)
        #expect(
            bytes {
                $0.statx(FUSEStatx(attributes: attributes, birthTime: nil))
            }.count == 288)
        #expect(
            bytes {
                $0.statistics(
                    FileSystemStatistics(
                        blocks: 1, blocksFree: 1, blocksAvailable: 1, files: 1, filesFree: 1,
                        blockSizeBytes: 1, nameLengthMaximum: 1))
            }.count == 80)
    }

    @Test(arguments: [false, true])
    func directoryPagesKeepTheirSize(isPlus: Bool) {
        for size in 0..<600 as Range<UInt32> {
            var builder = FUSEDirectoryBuilder(sizeBytes: size, isPlus: isPlus)
            var added = 0
            for length in [1, 8, 9, 255] {
                let entry = DirectoryEntry(
                    name: [UInt8](repeating: 97, count: length), inode: 1, kind: .regular,
                    nextCookie: Int64(length))
                let before = builder.bytes.count
                let fits = builder.hasRoom(nameLengthBytes: length)
                let isAdded = builder.add(entry)
                #expect(isAdded == fits)
                if isAdded { added += 1 } else { #expect(builder.bytes.count == before) }
            }
            #expect(builder.bytes.count <= Int(size) && builder.bytes.count % 8 == 0)
            if size == 599 { #expect(added >= (isPlus ? 3 : 4)) }
        }
    }
}
