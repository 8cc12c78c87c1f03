import Glibc
import Testing

extension PosixTests {
    @Suite struct SizeTests {
        @Test(arguments: Place.all) func truncate(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                var model = PosixContext.pattern(50_000)
                r.fill("f", model)
                let file = r.opened("f")
                for (number, size) in [
                    49_999, 12_289, 12_288, 12_287, 4097, 20_000, 4096, 4095, 100_000, 1, 0, 8192,
                    8191, 513, 512, 511, 70_000,
                ].enumerated() {
                    if number.isMultiple(of: 2) {
                        r.truncate("f", size).ok()
                    } else {
                        r.ftruncate(file, size).ok()
                    }
                    model = Array(model.prefix(size))
                    model += [UInt8](repeating: 0, count: size - model.count)
                    c.equal(Int(r.status("f").size), size, "size")
                    r.contains("f", model, "after truncate to \(size)")
                    // What shrinking cut off must not come back when the file grows again.
                    let tail = PosixContext.pattern(100, seed: number)
                    r.write(file, tail, offset: size).returns(100)
                    model += tail
                }
                r.contains("f", model)
                r.ftruncate(file, -1).fails(EINVAL)
                r.truncate("f", -1).fails(EINVAL)
                r.mkdir("d").ok()
                r.truncate("d", 0).fails(EISDIR)
                r.make("p", .fifo)
                r.truncate("p", 0).fails(EINVAL)
                c.alice.truncate("f", 0).fails(EACCES)
                r.symlink("f", "l").ok()
                r.truncate("l", 3).ok()
                c.equal(r.status("f").size, 3, "truncate follows")
                // Sizes far beyond the volume's: sparse, or too big for the file system.
                r.ftruncate(file, 1 << 40).ok()
                c.equal(r.status("f").size, 1 << 40, "a terabyte of nothing")
                r.read(file, 10, offset: 1 << 39).brings([UInt8](repeating: 0, count: 10))
                r.ftruncate(file, 0).ok()
                let huge = r.ftruncate(file, Int.max)
                if !huge.isOK { huge.fails(EFBIG) }
                r.ftruncate(file, 0).ok()
                let limits = c.another()
                let small = encoded(UInt64(10_000)) + encoded(UInt64.max)
                limits.call("prlimit64", .number(0), .number(1), .bytes(small), .number(0)).ok()
                let limited = limits.opened("f")
                limits.ftruncate(limited, 10_001).fails(EFBIG)
                limits.ftruncate(limited, 10_000).ok()
                limits.write(limited, [1], offset: 10_000).fails(EFBIG)
                limits.write(limited, [1, 2, 3], offset: 9_998).returns(2, "up to the limit")
            }
        }

        @Test(arguments: Place.all) func holes(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let file = r.opened("f", O_CREAT | O_RDWR)
                let block = PosixContext.pattern(65536)
                r.write(file, block, offset: 1 << 20).returns(65536)
                r.write(file, block, offset: 3 << 20).returns(65536)
                r.ftruncate(file, 4 << 20).ok()
                r.seek(file, 0, Flags.seekData).returns(1 << 20)
                r.seek(file, 0, Flags.seekHole).returns(0)
                r.seek(file, 1 << 20, Flags.seekHole).returns((1 << 20) + 65536)
                r.seek(file, (1 << 20) + 5, Flags.seekData).returns((1 << 20) + 5)
                r.seek(file, 2 << 20, Flags.seekData).returns(3 << 20)
                r.seek(file, (3 << 20) + 65536, Flags.seekData).fails(ENXIO)
                r.seek(file, (3 << 20) + 65536, Flags.seekHole).returns((3 << 20) + 65536)
                r.seek(file, 4 << 20, Flags.seekData).fails(ENXIO)
                r.seek(file, 4 << 20, Flags.seekHole).fails(ENXIO)
                r.seek(file, -1, Flags.seekData).fails(ENXIO, EINVAL)
                c.expect(r.status("f").blocks < 1024, "a sparse file takes little room")
                r.read(file, 4096, offset: 2 << 20).brings([UInt8](repeating: 0, count: 4096))
                r.read(file, 8, offset: (1 << 20) - 4)
                    .brings([0, 0, 0, 0] + block.prefix(4))
                r.seek(file, 10, SEEK_SET).returns(10)
                r.seek(file, -5, SEEK_CUR).returns(5)
                r.seek(file, 3, SEEK_END).returns((4 << 20) + 3)
                r.seek(file, -1, SEEK_SET).fails(EINVAL)
                r.seek(file, 0, 99).fails(EINVAL)
                r.write(file, [9], offset: 2 << 20).returns(1)
                r.seek(file, (1 << 20) + 65536, Flags.seekData).returns(2 << 20)
                r.read(file, 3, offset: (2 << 20) - 1).brings([0, 9, 0])
            }
        }

        @Test(arguments: Place.all) func allocate(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let bytes = PosixContext.pattern(100_000)
                var model = bytes
                func clear(_ start: Int, _ length: Int) {
                    let zeros = [UInt8](repeating: 0, count: length)
                    model.replaceSubrange(start..<(start + length), with: zeros)
                }
                r.fill("f", bytes)
                let file = r.opened("f")
                r.fallocate(file, 0, 0, 200_000).ok()
                model += [UInt8](repeating: 0, count: 100_000)
                r.contains("f", model, "after growing by fallocate")
                c.expect(r.status("f").blocks * 512 >= 200_000, "the room is there")
                r.fallocate(file, Flags.keepSize, 0, 1 << 20).ok()
                c.equal(r.status("f").size, 200_000, "KEEP_SIZE keeps it")
                c.expect(r.status("f").blocks * 512 >= 1 << 20, "the room beyond the end")
                // Odd ends: the edges of blocks are zeroed by writing.
                for (start, length) in [
                    (4096, 8192), (20_001, 3), (30_000, 10_001), (4095, 4098), (90_000, 20_000),
                ] {
                    r.fallocate(file, Flags.punchHole, start, length).ok()
                    clear(start, length)
                    r.contains("f", model, "after punching \(start) +\(length)")
                }
                r.write(file, bytes, offset: 0).returns(100_000)
                model.replaceSubrange(0..<100_000, with: bytes)
                r.contains("f", model, "after writing into the holes")
                for (start, length) in [(8192, 4096), (10_001, 7), (50_001, 30_001)] {
                    r.fallocate(file, Flags.zeroRange, start, length).ok()
                    clear(start, length)
                    r.contains("f", model, "after zeroing \(start) +\(length)")
                }
                r.fallocate(file, Flags.zeroRange | Flags.keepSize, 190_000, 20_000).ok()
                clear(190_000, 10_000)
                r.contains("f", model, "after zeroing beyond the end")
                r.fallocate(file, Flags.zeroRange, 199_990, 20).ok()
                model += [UInt8](repeating: 0, count: 10)
                r.contains("f", model, "after growing by zeroing")
                r.write(file, bytes, offset: 5).returns(100_000)
                model.replaceSubrange(5..<100_005, with: bytes)
                let collapsed = r.fallocate(file, Flags.collapseRange, 8192, 4096)
                if collapsed.isOK {
                    model.removeSubrange(8192..<12288)
                } else {
                    collapsed.fails(EOPNOTSUPP)
                }
                r.contains("f", model, "after collapsing")
                let inserted = r.fallocate(file, Flags.insertRange, 4096, 8192)
                if inserted.isOK {
                    model.insert(contentsOf: [UInt8](repeating: 0, count: 8192), at: 4096)
                } else {
                    inserted.fails(EOPNOTSUPP)
                }
                r.contains("f", model, "after inserting")
                if collapsed.isOK {
                    r.fallocate(file, Flags.collapseRange, 1, 4096).fails(EINVAL)
                    r.fallocate(file, Flags.collapseRange, 0, 1 << 30).fails(EINVAL)
                    r.fallocate(file, Flags.insertRange, 1 << 30, 4096).fails(EINVAL)
                }
                r.fallocate(file, 0, -1, 10).fails(EINVAL)
                r.fallocate(file, 0, 0, 0).fails(EINVAL)
                r.fallocate(file, 0, 0, Int.max).fails(EFBIG, ENOSPC)
                r.fallocate(file, 0, Int.max, 10).fails(EFBIG)
                r.fallocate(file, 2, 0, 4096).fails(EOPNOTSUPP)
                r.fallocate(file, 1 << 20, 0, 4096).fails(EOPNOTSUPP, EINVAL)
                // ext4 keeps, and counts in the size, what it found room for.
                let huge = r.opened("huge", O_CREAT | O_RDWR)
                r.fallocate(huge, 0, 0, 2 << 30).fails(ENOSPC)
                r.close(huge)
                r.unlink("huge").ok()
                let reading = r.opened("f", O_RDONLY)
                r.fallocate(reading, 0, 0, 10).fails(EBADF)
                r.contains("f", model, "after everything that failed")
            }
        }

        @Test(arguments: Place.all) func space(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let before = r.space()
                c.expect(before.blockBytes >= 512 && before.blocks > 0, "a size")
                c.expect(before.freeBlocks <= before.blocks, "free of all blocks")
                c.expect(before.availableBlocks <= before.freeBlocks, "available of the free")
                c.expect(before.freeFiles <= before.files, "free of all inodes")
                let file = r.opened("f", O_CREAT | O_RDWR)
                r.fallocate(file, 0, 0, 64 << 20).ok()
                let taken = before.freeBytes - r.space().freeBytes
                c.expect(taken >= 60 << 20, "64 MiB allocated show as \(taken)")
                r.unlink("f").ok()
                r.close(file)
                // XFS frees in the background.
                var left = Int64.max
                for _ in 0..<100 where left >= 4 << 20 {
                    c.pause()
                    left = before.freeBytes - r.space().freeBytes
                }
                c.expect(left < 4 << 20, "\(left) bytes are not given back")
            }
        }

        /// A full file system is ENOSPC to the writer, and nothing breaks.
        @Test(arguments: Place.all) func full(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.fill("kept", PosixContext.pattern(10_000))
                let file = r.opened("f", O_CREAT | O_RDWR)
                let room = Int(r.space().freeBytes)
                // All but a little by fallocate, down to ever smaller pieces; then by writing.
                var end = 0
                var piece = room / 2
                while piece >= 1 << 20 {
                    let outcome = r.fallocate(file, 0, end, piece)
                    if outcome.isOK { end += piece } else { outcome.fails(ENOSPC) }
                    piece = outcome.isOK ? piece : piece / 2
                }
                let writer = r.opened("g", O_CREAT | O_RDWR)
                let chunk = PosixContext.pattern(256 << 10)
                var written = 0
                var last = r.write(writer, chunk, offset: 0)
                while last.isOK, written < 256 << 20 {
                    written += last.result
                    last = r.write(writer, chunk, offset: written)
                }
                last.fails(ENOSPC)
                c.equal(Int(r.status("g").size), written, "size after ENOSPC")
                r.contains("kept", PosixContext.pattern(10_000))
                let kept = r.opened("kept")
                r.write(kept, [5], offset: 0).returns(1, "a write in place")
                if written > 0 {
                    r.read(writer, 4096, offset: 0).brings(Array(chunk.prefix(4096)))
                }
                for open in [file, writer, kept] { r.close(open) }
                r.unlink("f").ok()
                r.fill("h", chunk)
                r.contains("h", chunk, "after making room")
            }
        }
    }
}
