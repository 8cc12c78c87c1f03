import Glibc
import Testing

extension PosixTests {
    @Suite struct DataTests {
        /// Sizes and offsets around sectors, blocks, pages, and what one FUSE request holds.
        @Test(arguments: Place.all) func offsets(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let file = r.opened("f", O_CREAT | O_RDWR)
                var model: [UInt8] = []
                var seed = 1
                func write(_ offset: Int, _ count: Int) {
                    seed += 1
                    let bytes = PosixContext.pattern(count, seed: seed)
                    r.write(file, bytes, offset: offset).returns(count)
                    let end = offset + count
                    if model.count < end {
                        model += [UInt8](repeating: 0, count: end - model.count)
                    }
                    model.replaceSubrange(offset..<end, with: bytes)
                }
                write(0, 10)
                for offset in [1, 511, 512, 4095, 4096, 4097, 8191, 65535, 131_072] {
                    for count in [1, 511, 513, 4096, 4097, 12_288] { write(offset, count) }
                }
                write(1_000_003, 1_500_007)
                write(1_048_576, 1_048_576)
                write(3, 2_400_001)
                r.contains("f", model)
                for (offset, count) in [
                    (0, 1), (511, 2), (4090, 12), (4096, 4096), (1, 1_048_576), (65_537, 999_999),
                    (model.count - 5, 5),
                ] {
                    r.read(file, count, offset: offset)
                        .brings(Array(model[offset..<(offset + count)]))
                }
                r.read(file, 10, offset: model.count).returns(0, "at the end")
                r.read(file, 10, offset: model.count + 10_000).returns(0, "beyond the end")
                r.read(file, 10, offset: model.count - 4).brings(Array(model.suffix(4)))
                r.read(file, 0, offset: 0).returns(0)
                r.read(file, 1, offset: -1).fails(EINVAL)
                r.write(file, [1], offset: -1).fails(EINVAL)
                r.write(file, [1], offset: Int.max).fails(EFBIG, EINVAL)
                r.call("fsync", .number(file)).ok()
                r.call("fdatasync", .number(file)).ok()
                r.call("syncfs", .number(file)).ok()
                r.contains("f", model, "after fsync")
            }
        }

        @Test(arguments: Place.all) func vectors(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let file = r.opened("f", O_CREAT | O_RDWR)
                let memory = Memory(of: r, bytes: 65536)
                let bytes = PosixContext.pattern(30_000)
                memory.write(bytes, at: 0)
                // Pieces of all sizes, an empty one among them.
                let pieces = [(0, 1), (1, 511), (512, 0), (512, 20_000), (20_512, 9_488)]
                let vector = Argument.bytes(memory.vector(pieces))
                r.call("pwritev", .number(file), vector, .number(5), .number(7)).returns(30_000)
                r.contains("f", [UInt8](repeating: 0, count: 7) + bytes)
                memory.write([UInt8](repeating: 0, count: 30_000), at: 0)
                r.call("preadv", .number(file), vector, .number(5), .number(7)).returns(30_000)
                c.equal(memory.read(30_000, at: 0), bytes, "read in pieces")
                r.call("preadv", .number(file), vector, .number(-1), .number(0)).fails(EINVAL)
                r.call("preadv", .number(file), vector, .number(2000), .number(0)).fails(EINVAL)
                r.call("pwrite64", .number(file), .number(8), .number(10), .number(0))
                    .fails(EFAULT)
                r.call(
                    "pwritev2", .number(file), vector, .number(2), .number(0), .number(0),
                    .flags(Flags.synchronousData)
                ).returns(512, "RWF_DSYNC")
                r.call(
                    "pwritev2", .number(file), vector, .number(1), .number(0), .number(0),
                    .flags(Flags.append)
                ).returns(1, "RWF_APPEND")
                c.equal(r.status("f").size, 30_008, "size after RWF_APPEND")
            }
        }

        @Test(arguments: Place.all) func direct(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let file = r.opened("f", O_CREAT | O_RDWR | Flags.direct)
                var model = PosixContext.pattern(65536)
                r.write(file, model, offset: 0).returns(65536)
                r.read(file, 65536, offset: 0).brings(model)
                let block = PosixContext.pattern(4096, seed: 9)
                r.write(file, block, offset: 8192).returns(4096)
                model.replaceSubrange(8192..<12288, with: block)
                r.contains("f", model, "by a buffered descriptor")
                // Unaligned: local file systems refuse it, a volume may take it; right if taken.
                let odd = r.write(file, Array(block.prefix(100)), offset: 5)
                if odd.isOK {
                    odd.returns(100)
                    model.replaceSubrange(5..<105, with: block.prefix(100))
                } else {
                    odd.fails(EINVAL)
                }
                let oddRead = r.read(file, 100, offset: 3)
                if oddRead.isOK {
                    oddRead.brings(Array(model[3..<103]))
                } else {
                    oddRead.fails(EINVAL)
                }
                r.contains("f", model)
                let buffered = r.opened("f")
                r.write(buffered, [1, 2, 3], offset: 4096).returns(3)
                model.replaceSubrange(4096..<4099, with: [1, 2, 3])
                r.read(file, 65536, offset: 0).brings(model, "what was written buffered")
                r.ftruncate(buffered, 10_000).ok()
                r.read(file, 65536, offset: 0).brings(Array(model.prefix(10_000)), "a short end")
                r.read(file, 4096, offset: 12288).returns(0, "beyond the end")
            }
        }

        @Test(arguments: Place.all) func synchronous(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for flags in [O_SYNC, O_DSYNC, O_DSYNC | Flags.direct, O_SYNC | O_APPEND] {
                    let name = "f\(flags)"
                    let file = r.opened(name, O_CREAT | O_RDWR | flags)
                    let bytes = PosixContext.pattern(8192, seed: Int(flags) & 0xff)
                    r.writeNext(file, bytes).returns(8192)
                    r.writeNext(file, bytes).returns(8192)
                    r.contains(name, bytes + bytes)
                    r.call("fdatasync", .number(file)).ok()
                }
                r.call("fsync", .number(99)).fails(EBADF)
                r.make("p", .fifo)
                let fifo = r.opened("p", O_RDWR)
                r.call("fsync", .number(fifo)).fails(EINVAL)
            }
        }

        @Test(arguments: Place.all) func copies(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let bytes = PosixContext.pattern(300_000)
                r.fill("from", bytes)
                let from = r.opened("from")
                let to = r.opened("to", O_CREAT | O_RDWR)
                func copy(_ source: Int, _ target: Int, _ count: Int, flags: Int = 0) -> Outcome {
                    r.call(
                        "copy_file_range", .number(from), .exchange(encoded(Int64(source))),
                        .number(to), .exchange(encoded(Int64(target))), .number(count),
                        .number(flags))
                }
                var done = 0
                while done < 300_000 {
                    let moved = copy(done, done, 300_000 - done).ok()
                    guard moved > 0 else { break }
                    done += moved
                }
                r.contains("to", bytes, "after copy_file_range")
                copy(300_000, 0, 100).returns(0, "at the end of the source")
                copy(7, 100_001, 1000).returns(1000, "odd offsets")
                var model = bytes
                model.replaceSubrange(100_001..<101_001, with: bytes[7..<1007])
                r.contains("to", model)
                copy(0, 0, 10, flags: 1).fails(EINVAL)
                r.call(
                    "copy_file_range", .number(to), .exchange(encoded(Int64(0))), .number(to),
                    .exchange(encoded(Int64(10))), .number(100), .number(0)
                ).fails(EINVAL)
                // sendfile(2), into the volume and out of it.
                let pipe = r.call("memfd_create", .text("covol"), .number(0)).ok()
                r.call(
                    "sendfile", .number(pipe), .number(from), .exchange(encoded(Int64(11))),
                    .number(5000)
                ).returns(5000)
                r.read(pipe, 5000, offset: 0).brings(Array(bytes[11..<5011]))
                let target = r.opened("sent", O_CREAT | O_RDWR)
                r.call(
                    "sendfile", .number(target), .number(pipe), .exchange(encoded(Int64(1))),
                    .number(4000)
                ).returns(4000)
                r.contains("sent", Array(bytes[12..<4012]))
            }
        }

        @Test(arguments: Place.all) func mappings(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let bytes = PosixContext.pattern(10_000)
                r.fill("f", bytes)
                let file = r.opened("f")
                let copy = r.call("memfd_create", .text("covol"), .number(0)).ok()
                let address = r.mmap(
                    file, 10_000, protection: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE
                ).ok()
                // Through the mapping: the kernel reads it to write the copy.
                r.call("pwrite64", .number(copy), .number(address), .number(12_288), .number(0))
                    .returns(12_288)
                r.read(copy, 12_288, offset: 0)
                    .brings(bytes + [UInt8](repeating: 0, count: 2288), "a private mapping")
                // What is written to a private mapping stays there.
                r.call("pread64", .number(copy), .number(address), .number(100), .number(50)).ok()
                r.contains("f", bytes)
                r.call("munmap", .number(address), .number(10_000)).ok()
                for protection in [PROT_READ, PROT_READ | PROT_WRITE] {
                    let shared = r.mmap(file, 10_000, protection: protection, flags: MAP_SHARED)
                    if c.isVolume { shared.fails(ENODEV) } else { shared.ok() }
                }
                let reading = r.opened("f", O_RDONLY)
                r.mmap(reading, 10, protection: PROT_READ | PROT_WRITE, flags: MAP_SHARED)
                    .fails(EACCES, ENODEV)
                r.mkdir("d").ok()
                let directory = r.opened("d", O_RDONLY)
                r.mmap(directory, 10, protection: PROT_READ, flags: MAP_PRIVATE).fails(ENODEV)
            }
        }
    }

    /// Memory of a caller's own, for the calls that take addresses.
    struct Memory {
        let caller: Caller
        let file: Int
        let address: Int

        init(of caller: Caller, bytes: Int) {
            self.caller = caller
            file = caller.call("memfd_create", .text("covol"), .number(0)).ok()
            caller.ftruncate(file, bytes).ok()
            address = caller.mmap(
                file, bytes, protection: PROT_READ | PROT_WRITE, flags: MAP_SHARED
            ).ok()
        }

        func write(_ bytes: [UInt8], at offset: Int) {
            caller.write(file, bytes, offset: offset).ok()
        }

        func read(_ count: Int, at offset: Int) -> [UInt8] {
            caller.read(file, count, offset: offset).data
        }

        /// A `struct iovec` for each piece: offset and length.
        func vector(_ pieces: [(Int, Int)]) -> [UInt8] {
            pieces.flatMap { encoded(Int64(address + $0.0)) + encoded(Int64($0.1)) }
        }
    }
}
