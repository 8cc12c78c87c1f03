import CLinux
import Foundation
import Glibc

/// Random operations from two nodes on shared files, one at a time, each held against a model.
/// Everything follows from the seed.
final class CoherenceRun {
    struct Place: Sendable {
        /// The volume's paths on the two nodes, and on a third that only looks.
        let nodes: [String]
        let observer: String
        let label: String
    }

    struct Open {
        let descriptor: Int32
        let node: Int
        let number: Int
        let file: ModelFile
        let flags: Int32
        var isAppend: Bool { flags & O_APPEND != 0 }
    }

    let place: Place
    let seed: UInt64
    let watchdog: Watchdog
    let top: String
    var random: SeededGenerator
    /// By directory number and name.
    var names: [[String: ModelFile]] = [[:], [:]]
    var directoryNames = ["left", "right"]
    var opens: [Open] = []
    var lastNumber = 0
    private(set) var operationCount = 0
    private var history: [String] = []
    /// Random bytes from which writes are cut.
    let pool: UnsafeMutableRawBufferPointer
    let buffer: UnsafeMutableRawBufferPointer

    init(place: Place, seed: UInt64, watchdog: Watchdog) {
        self.place = place
        self.seed = seed
        self.watchdog = watchdog
        top = "coherence-\(seed)-\(place.label)"
        random = SeededGenerator(seed: seed)
        pool = .allocate(byteCount: 2 * ModelFile.maximumBytes, alignment: 4096)
        buffer = .allocate(byteCount: ModelFile.maximumBytes + 4096, alignment: 4096)
        var filler = SeededGenerator(seed: seed ^ 0xF111)
        let words = pool.bindMemory(to: UInt64.self)
        for index in words.indices { words[index] = filler.next() | 0x0101_0101_0101_0101 }
    }

    deinit {
        for open in opens { Glibc.close(open.descriptor) }
        pool.deallocate()
        buffer.deallocate()
    }

    /// Runs up to so many operations, or until the time is over, and then looks at everything.
    func run(operations: Int, seconds: Double) throws {
        let end = Date().addingTimeInterval(seconds)
        try call("mkdir") { mkdir("\(place.nodes[0])/\(top)", 0o755) }
        for name in directoryNames {
            try call("mkdir") { mkdir("\(place.nodes[1])/\(top)/\(name)", 0o755) }
        }
        while operationCount < operations, Date() < end {
            operationCount += 1
            watchdog.step()
            try operate()
        }
        try verifyAll()
    }

    private func operate() throws {
        let node = random.below(2)
        switch random.below(118) {
        case 0..<16: try write()
        case 16..<26: try writeWhole()
        case 26..<31: try writeLarge()
        case 31..<37: try append()
        case 37..<61: try read()
        case 61..<68: try truncate()
        case 68..<72: try punch()
        case 72..<76: try zeroRange()
        case 76..<79: try allocate()
        case 79..<81: try seek()
        case 81..<83: try copy()
        case 83..<85: try synchronize()
        case 85..<91: try status(node)
        case 91..<97: try open(node)
        case 97..<100: try close()
        case 100..<103: try rename(node)
        case 103..<105: try link(node)
        case 105..<109: try unlink(node)
        case 109: try changeMode(node)
        case 110: try setTimes(node)
        case 111: try list(node)
        case 112: try renameDirectory(node)
        default: try lock()
        }
    }

    // MARK: Helpers

    func path(_ node: Int, _ directory: Int, _ name: String) -> String {
        "\(place.nodes[node])/\(top)/\(directoryNames[directory])/\(name)"
    }

    func note(_ text: String) { history.append("\(operationCount) \(text)") }

    func mismatch(_ text: String) -> Finding {
        let state = watchdog.hasBarked ? " (a system call hung and was ended)" : ""
        return Finding(
            """
            \(place.label), SEED=\(seed), operation \(operationCount): \(text)\(state)
            the last operations on the same file:
            \(sameFile.joined(separator: "\n"))
            the last operations:
            \(history.suffix(30).joined(separator: "\n"))
            """)
    }

    /// The last operations that name a file which the last one names.
    private var sameFile: [String] {
        guard let last = history.last else { return [] }
        let files = last.matches(of: /file \d+/).map { String($0.output) }
        return history.filter { line in
            line.matches(of: /file \d+/).contains { files.contains(String($0.output)) }
        }.suffix(40)
    }

    /// A system call that must succeed.
    @discardableResult
    func call<Value: SignedInteger>(_ name: String, _ body: () -> Value) throws -> Value {
        errno = 0
        let result = body()
        if result < 0 { throw mismatch("\(name): \(String(cString: strerror(errno)))") }
        return result
    }

    /// A system call that must succeed, or fail with just this error.
    func call(_ name: String, expecting error: Int32?, _ body: () -> Int32) throws {
        errno = 0
        let result = body()
        let found = result < 0 ? errno : 0
        if found != error ?? 0 {
            let wanted = error.map { String(cString: strerror($0)) } ?? "success"
            throw mismatch(
                "\(name): expected \(wanted), got \(String(cString: strerror(found)))")
        }
    }

    func randomOpen() -> Open? { opens.isEmpty ? nil : random.element(opens) }

    func randomName() -> (directory: Int, name: String) {
        (random.below(2), "f\(random.below(4))")
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The kernel stamps files with a clock that goes in ticks of up to 10 ms.
    static func stamp() -> Int64 { now() - 20_000_000 }
}
