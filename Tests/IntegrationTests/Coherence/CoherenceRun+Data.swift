import CLinux
import Glibc

private enum Allocation {
    static let keepSize: Int32 = 0x01
    static let punchHole: Int32 = 0x02
    static let zeroRange: Int32 = 0x10
}

/// Operations on bytes.
extension CoherenceRun {
    private func put(_ open: Open, _ offset: Int, _ length: Int, _ what: String) throws {
        let start = random.below(pool.count - length)
        let source = UnsafeRawBufferPointer(rebasing: pool[start..<start + length])
        let stamp = Self.stamp()
        note(
            "node \(open.node) \(what) file \(open.file.number) [\(offset), +\(length)) of \(open.file.size)"
        )
        let done = try call(what) {
            pwrite(open.descriptor, source.baseAddress!, length, off_t(offset))
        }
        if done != length { throw mismatch("wrote \(done) of \(length)") }
        open.file.write(source, at: offset)
        open.file.changed(since: stamp)
    }

    private func randomPlace(_ file: ModelFile, beyond: Int, unit: Int) -> Int {
        let reach = min(file.size + beyond, ModelFile.maximumBytes - (1 << 20))
        return random.below(max(reach, 1)) / unit * unit
    }

    func write() throws {
        guard let open = randomOpen(), !open.isAppend else { return }
        let offset = randomPlace(open.file, beyond: 8192, unit: 1)
        try put(open, offset, 1 + random.below(random.chance(1, of: 4) ? 40_000 : 5000), "write")
    }

    func writeWhole() throws {
        guard let open = randomOpen(), !open.isAppend else { return }
        let offset = randomPlace(open.file, beyond: 32768, unit: 4096)
        try put(open, offset, 4096 * (1 + random.below(16)), "write blocks")
    }

    /// Lengthens the file by much, at its end or near it.
    func writeLarge() throws {
        guard let open = randomOpen(), !open.isAppend else { return }
        let length =
            (64 << 10) + random.below(15) * 65536
            + (random.chance(1, of: 3) ? random.below(4096) : 0)
        let end = random.chance(1, of: 2) ? open.file.size & ~4095 : open.file.size
        let offset = min(end, ModelFile.maximumBytes - length)
        try put(open, max(0, offset), length, "write much")
    }

    func append() throws {
        guard let open = opens.filter(\.isAppend).randomElement(using: &random) else { return }
        let length = 1 + random.below(random.chance(1, of: 5) ? 150_000 : 3000)
        guard open.file.size + length <= ModelFile.maximumBytes else { return }
        let start = random.below(pool.count - length)
        let source = UnsafeRawBufferPointer(rebasing: pool[start..<start + length])
        let stamp = Self.stamp()
        note("node \(open.node) append file \(open.file.number) +\(length) to \(open.file.size)")
        let done = try call("append") { Glibc.write(open.descriptor, source.baseAddress!, length) }
        if done != length { throw mismatch("appended \(done) of \(length)") }
        open.file.write(source, at: open.file.size)
        open.file.changed(since: stamp)
    }

    func read() throws {
        guard let open = randomOpen() else { return }
        let offset = random.chance(1, of: 6) ? 0 : random.below(open.file.size + 5000)
        let choice = random.below(8)
        let length = choice == 0 ? buffer.count : 1 + random.below(choice < 4 ? 4096 : 70_000)
        try verify(
            open.descriptor, open.file, offset, length, "node \(open.node) read")
    }

    func verify(
        _ descriptor: Int32, _ file: ModelFile, _ offset: Int, _ length: Int, _ who: String
    ) throws {
        note("\(who) file \(file.number) [\(offset), +\(length)) of \(file.size)")
        let expected = max(0, min(length, file.size - offset))
        let got = try call("read") { pread(descriptor, buffer.baseAddress!, length, off_t(offset)) }
        if got != expected { throw mismatch("read \(got) bytes, expected \(expected)") }
        let found = UnsafeRawBufferPointer(rebasing: buffer[..<got])
        guard let differing = file.firstDifference(found, at: offset) else { return }
        let shown = { (bytes: UnsafeRawBufferPointer, at: Int) in
            bytes[at..<min(at + 16, bytes.count)].map { String($0, radix: 16) }.joined(
                separator: " ")
        }
        let last = found.indices.last { found[$0] != file.bytes[offset + $0] }! + offset
        throw mismatch(
            """
            first difference at offset \(differing) (block \(differing / 4096), byte \
            \(differing % 4096) of it), last at \(last)
            expected \(shown(UnsafeRawBufferPointer(file.bytes), differing))
            found    \(shown(found, differing - offset))
            """)
    }

    func truncate() throws {
        guard let open = randomOpen() else { return }
        let file = open.file
        let size: Int
        switch random.below(5) {
        case 0: size = 0
        case 1: size = random.below(file.size + 1) & ~4095
        case 2: size = min(file.size + random.below(20_000), ModelFile.maximumBytes - (1 << 20))
        default: size = random.below(file.size + 1)
        }
        let stamp = Self.stamp()
        note("node \(open.node) truncate file \(file.number) from \(file.size) to \(size)")
        try call("ftruncate") { ftruncate(open.descriptor, off_t(size)) }
        if size != file.size { file.changed(since: stamp) } else { file.timeExact = nil }
        file.truncate(size)
    }

    private func allocate(_ mode: Int32, _ what: String, maximum: Int) throws -> (Open, Range<Int>)?
    {
        guard let open = randomOpen() else { return nil }
        let unit = random.chance(1, of: 2) ? 4096 : 1
        let offset = randomPlace(open.file, beyond: 4096, unit: unit)
        let length = max(unit, (1 + random.below(maximum)) / unit * unit)
        note(
            "node \(open.node) \(what) file \(open.file.number) [\(offset), +\(length)) of \(open.file.size)"
        )
        try call(what) { Linux.fallocate(open.descriptor, mode, offset, length) }
        open.file.timeExact = nil
        return (open, offset..<offset + length)
    }

    func punch() throws {
        let mode = Allocation.punchHole | Allocation.keepSize
        guard let (open, range) = try allocate(mode, "punch", maximum: 40_000) else { return }
        open.file.zero(range.clamped(to: 0..<open.file.size))
    }

    func zeroRange() throws {
        let keeps = random.chance(1, of: 2)
        let mode = Allocation.zeroRange | (keeps ? Allocation.keepSize : 0)
        guard let (open, range) = try allocate(mode, "zero", maximum: 40_000) else { return }
        open.file.zero(range)
        if !keeps { open.file.extend(to: range.upperBound) }
    }

    func allocate() throws {
        let keeps = random.chance(1, of: 2)
        guard
            let (open, range) = try allocate(
                keeps ? Allocation.keepSize : 0, keeps ? "reserve" : "allocate", maximum: 100_000)
        else { return }
        if !keeps { open.file.extend(to: range.upperBound) }
    }

    /// What lies between an offset and the next data is zeros, and so is a hole.
    func seek() throws {
        guard let open = randomOpen(), open.file.size > 0 else { return }
        let file = open.file
        let from = random.below(file.size)
        note("node \(open.node) seek file \(file.number) from \(from) of \(file.size)")
        var data = Linux.seek(open.descriptor, from, covol_seek_data)
        if data < 0 {
            guard errno == ENXIO else {
                throw mismatch("SEEK_DATA: \(String(cString: strerror(errno)))")
            }
            data = file.size
        }
        guard data >= from, data <= file.size, file.isZero(from..<data) else {
            throw mismatch("SEEK_DATA from \(from) skips data: \(data)")
        }
        let hole = try call("SEEK_HOLE") { Linux.seek(open.descriptor, from, covol_seek_hole) }
        guard hole >= from, hole <= file.size else {
            throw mismatch("SEEK_HOLE from \(from) finds \(hole) in \(file.size)")
        }
        if hole < file.size, data == from {
            guard file.isZero(hole..<hole + 1) else { throw mismatch("data at the hole \(hole)") }
        }
    }

    func copy() throws {
        guard let source = randomOpen(),
            let target = opens.filter({
                $0.node == source.node && !$0.isAppend && $0.file !== source.file
            })
            .randomElement(using: &random), source.file.size > 0
        else { return }
        let from = random.below(source.file.size)
        let to = randomPlace(target.file, beyond: 10_000, unit: random.chance(1, of: 2) ? 4096 : 1)
        let wanted = min(1 + random.below(100_000), source.file.size - from)
        note(
            "node \(source.node) copy file \(source.file.number) [\(from), +\(wanted)) to file "
                + "\(target.file.number) at \(to) of \(target.file.size)")
        // The kernel cuts a copy at the source's size as it knows it, on every file system: programs
        // look at it before.
        var found = stat()
        try call("fstat") { fstat(source.descriptor, &found) }
        var done = 0
        while done < wanted {
            let stamp = Self.stamp()
            let count = try call("copy_file_range") {
                Linux.copy(
                    source.descriptor, from + done, target.descriptor, to + done, wanted - done)
            }
            if count == 0 { throw mismatch("copied \(done) of \(wanted)") }
            let bytes = source.file.bytes[from + done..<from + done + count]
            target.file.write(UnsafeRawBufferPointer(rebasing: bytes), at: to + done)
            target.file.changed(since: stamp)
            done += count
        }
    }

    func synchronize() throws {
        guard let open = randomOpen() else { return }
        note("node \(open.node) fsync file \(open.file.number)")
        try call("fsync") {
            random.chance(1, of: 2) ? fsync(open.descriptor) : fdatasync(open.descriptor)
        }
    }
}
