import Glibc

/// One thread's part of a ``SharedFileRun``.
final class SharedFileWorker {
    private typealias Run = SharedFileRun

    private let path: String
    private let worker: Int
    private var random: SeededGenerator
    private let title: String
    private(set) var bytes: [UInt8]
    private(set) var size: Int
    private var descriptor: Int32 = -1
    private var recent: [String] = []
    private var count = 0

    init(
        path: String, worker: Int, random: SeededGenerator, title: String, bytes: [UInt8], size: Int
    ) {
        self.path = path
        self.worker = worker
        self.random = random
        self.title = title
        self.bytes = bytes
        self.size = size
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func operate() throws {
        count += 1
        if descriptor < 0 || random.chance(1, of: 40) { try reopen() }
        switch random.below(worker == 0 ? 27 : 24) {
        case 0..<6: try write(unit: 4096)
        case 6..<10: try write(unit: 1)
        case 10..<17: try read(place(unit: 1))
        case 17..<19: try clear(0x03, "punch")
        case 19..<21: try clear(0x11, "zero")
        case 21: try attempt("fsync") { fsync(descriptor) == 0 }
        case 22: try status()
        case 23: try churn()
        case 24: try moveEnd()
        case 25: try writeEnd()
        default: try readEnd()
        }
    }

    func end() throws {
        for stripe in stride(from: worker, to: Run.ownedBytes / Run.stripeBytes, by: 2) {
            try read(stripe * Run.stripeBytes..<(stripe + 1) * Run.stripeBytes)
        }
        if worker == 0 { try read(Run.ownedBytes..<size) }
    }

    /// A random range within one of the worker's own stripes.
    private func place(unit: Int) -> Range<Int> {
        let stripes = Run.ownedBytes / Run.stripeBytes / 2
        let start = (random.below(stripes) * 2 + worker) * Run.stripeBytes
        let first = random.below(Run.stripeBytes) / unit * unit
        let length = max(unit, random.below(Run.stripeBytes - first + 1) / unit * unit)
        return start + first..<min(start + first + length, start + Run.stripeBytes)
    }

    private func reopen() throws {
        if descriptor >= 0 { try attempt("close") { close(descriptor) == 0 } }
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        try attempt("open") { descriptor >= 0 }
    }

    private func fill(_ range: Range<Int>) {
        let seed = random.next()
        bytes.withUnsafeMutableBytes { bytes in
            var value = seed
            for index in range {
                value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[index] = UInt8(truncatingIfNeeded: value >> 56) | 1
            }
        }
    }

    private func write(_ range: Range<Int>) throws {
        fill(range)
        try attempt("write \(range)") {
            bytes[range].withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress!, $0.count, off_t(range.lowerBound)) == $0.count
            }
        }
    }

    private func write(unit: Int) throws { try write(place(unit: unit)) }

    private func read(_ range: Range<Int>) throws {
        var found = [UInt8](repeating: 0, count: range.count)
        try attempt("read \(range)") {
            found.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress!, $0.count, off_t(range.lowerBound)) == $0.count
            }
        }
        guard !isEqual(found, bytes, range, from: range.lowerBound) else { return }
        let differing = found.indices.first { found[$0] != bytes[range.lowerBound + $0] }!
        throw mismatch(
            "first difference at \(range.lowerBound + differing): expected "
                + "\(bytes[range.lowerBound + differing]), found \(found[differing])")
    }

    private func clear(_ mode: Int32, _ what: String) throws {
        let range = place(unit: random.chance(1, of: 2) ? 4096 : 1)
        try attempt("\(what) \(range)") {
            Linux.fallocate(descriptor, mode, range.lowerBound, range.count) == 0
        }
        zero(range)
    }

    private func zero(_ range: Range<Int>) {
        bytes.withUnsafeMutableBytes {
            _ = memset($0.baseAddress! + range.lowerBound, 0, range.count)
        }
    }

    private func status() throws {
        var found = stat()
        try attempt("fstat") { fstat(descriptor, &found) == 0 }
        if worker == 0, Int(found.st_size) != size {
            throw mismatch("size \(found.st_size), expected \(size)")
        }
        if Int(found.st_size) < Run.ownedBytes { throw mismatch("size \(found.st_size)") }
    }

    /// A life of a small file beside the shared one.
    private func churn() throws {
        let first = "\(path)-\(worker)-a"
        let second = "\(path)-\(worker)-b"
        let file = open(first, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        try attempt("create") { file >= 0 }
        defer { close(file) }
        let text = Array("worker \(worker)".utf8)
        try attempt("write") { pwrite(file, text, text.count, 0) == text.count }
        try attempt("rename") { rename(first, second) == 0 }
        try attempt("unlink") { unlink(second) == 0 }
        var found = [UInt8](repeating: 0, count: 64)
        try attempt("read") { pread(file, &found, found.count, 0) == text.count }
        if !found.starts(with: text) { throw mismatch("the removed file reads \(found)") }
    }

    // MARK: The file's end, which is the first worker's

    private func moveEnd() throws {
        let old = size
        size = Run.ownedBytes + random.below(1 << 20)
        try attempt("truncate \(old) to \(size)") { ftruncate(descriptor, off_t(size)) == 0 }
        if size < old { zero(size..<old) }
    }

    private func writeEnd() throws {
        let start = random.chance(1, of: 2) ? size : Run.ownedBytes + random.below(1 << 20)
        let length = 1 + random.below(random.chance(1, of: 2) ? 8192 : 300_000)
        let range = start..<min(start + length, Run.maximumBytes)
        guard !range.isEmpty else { return }
        try write(range)
        size = max(size, range.upperBound)
    }

    private func readEnd() throws {
        guard size > Run.ownedBytes else { return }
        let start = Run.ownedBytes + random.below(size - Run.ownedBytes)
        try read(start..<min(size, start + 1 + random.below(60_000)))
    }

    private func attempt(_ what: String, _ body: () -> Bool) throws {
        recent.append("\(count) \(what)")
        if recent.count > 30 { recent.removeFirst() }
        errno = 0
        if !body() { throw mismatch("\(what): \(String(cString: strerror(errno)))") }
    }

    private func mismatch(_ text: String) -> Finding {
        Finding("\(title): \(text)\nthe last operations:\n\(recent.joined(separator: "\n"))")
    }
}
