import Foundation
import Glibc

@testable import LabKit

/// Whether two arrays agree in a range; an unoptimised `==` takes its time.
func isEqual(_ first: [UInt8], _ second: [UInt8], _ range: Range<Int>, from offset: Int = 0) -> Bool
{
    first.withUnsafeBytes { first in
        second.withUnsafeBytes { second in
            memcmp(
                first.baseAddress! + range.lowerBound - offset,
                second.baseAddress! + range.lowerBound, range.count) == 0
        }
    }
}

/// Two threads, one per node, at work at once on one file, each on blocks of its own; the first also
/// moves the file's end about. After each round every node must read the same, and what was written.
struct SharedFileRun: Sendable {
    static let operationsPerRound = 150
    /// Blocks change hands every so many bytes, up to `ownedBytes`; beyond is the first one's.
    static let stripeBytes = 12 << 10
    static let ownedBytes = 256 * stripeBytes
    static let maximumBytes = ownedBytes + (2 << 20)

    let place: CoherenceRun.Place
    let seed: UInt64
    let watchdog: Watchdog
    let name: String
    private let images: Images

    /// What each of the two knows of the file. Each is used by one thread at a time.
    private final class Images: @unchecked Sendable {  // Sound: handed over at the ends of rounds.
        var bytes: [[UInt8]]
        var size = SharedFileRun.ownedBytes

        init() {
            bytes = Array(
                repeating: [UInt8](repeating: 0, count: SharedFileRun.maximumBytes), count: 2)
        }
    }

    init(place: CoherenceRun.Place, seed: UInt64, watchdog: Watchdog) {
        self.place = place
        self.seed = seed
        self.watchdog = watchdog
        name = "shared-\(seed)-\(place.label)"
        images = Images()
    }

    func make() async throws {
        let path = "\(place.nodes[0])/\(name)"
        try await onThread {
            let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            try require(file >= 0, "open: \(String(cString: strerror(errno)))")
            defer { close(file) }
            try require(ftruncate(file, off_t(Self.ownedBytes)) == 0, "ftruncate")
        }
    }

    func round(_ round: Int) async throws {
        async let first: Void = onThread { try work(0, round) }
        async let second: Void = onThread { try work(1, round) }
        _ = try await (first, second)
        try await onThread {
            for root in place.nodes + [place.observer] { try compare(root, round) }
        }
    }

    private func work(_ worker: Int, _ round: Int) throws {
        let job = SharedFileWorker(
            path: "\(place.nodes[worker])/\(name)", worker: worker,
            random: SeededGenerator(seed: seed &+ UInt64(round * 2 + worker)),
            title: "\(place.label), both at once, SEED=\(seed), round \(round), worker \(worker)",
            bytes: images.bytes[worker], size: worker == 0 ? images.size : Self.ownedBytes)
        for _ in 0..<Self.operationsPerRound {
            watchdog.step()
            try job.operate()
        }
        try job.end()
        images.bytes[worker] = job.bytes
        if worker == 0 { images.size = job.size }
    }

    private func compare(_ root: String, _ round: Int) throws {
        watchdog.step()
        let file = open("\(root)/\(name)", O_RDONLY | O_CLOEXEC)
        try require(file >= 0, "open: \(String(cString: strerror(errno)))")
        defer { close(file) }
        var found = [UInt8](repeating: 0, count: Self.maximumBytes + 1)
        let got = found.withUnsafeMutableBytes { pread(file, $0.baseAddress!, $0.count, 0) }
        let title = "\(place.label), both at once, SEED=\(seed), after round \(round), \(root)"
        try require(got == images.size, "\(title): \(got) bytes, expected \(images.size)")
        for start in stride(from: 0, to: images.size, by: Self.stripeBytes) {
            let owner = start < Self.ownedBytes ? start / Self.stripeBytes % 2 : 0
            let range = start..<min(start + Self.stripeBytes, images.size)
            guard !isEqual(found, images.bytes[owner], range) else { continue }
            let differing = range.first { found[$0] != images.bytes[owner][$0] } ?? start
            throw Finding(
                "\(title): first difference at \(differing), written by worker \(owner): expected "
                    + "\(images.bytes[owner][differing]), found \(found[differing])")
        }
    }
}
