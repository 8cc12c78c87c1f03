import Foundation
import Glibc

@testable import LabKit

/// What a test guest says on its console, on whichever node it runs: the lines of all its copies, in
/// the order and with the times of their coming. See Tests/Guest/workload.c for the lines.
final class GuestConsole: @unchecked Sendable {
    // Sound: everything below is behind the lock.
    struct Line: Sendable {
        var seconds: Double
        var node: String
        var words: [String]
    }

    private let lock = NSLock()
    private var lines: [Line] = []
    private var offsets: [String: UInt64] = [:]
    private var rests: [String: String] = [:]
    private var isOver = false
    private let machine: String
    private let folders: [(node: String, path: String)]

    /// Looks for the machine's copies on all nodes until ``end()``.
    init(_ machine: String, in lab: Lab) {
        self.machine = machine
        folders = lab.nodes.map { ($0.name, $0.plan.stateDirectory + "/vm") }
        let thread = Thread { [self] in
            while !lock.withLock({ isOver }) {
                look()
                usleep(2_000)
            }
        }
        thread.start()
    }

    func end() { lock.withLock { isOver = true } }

    private func look() {
        for (node, folder) in folders {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            for name in names where name.hasPrefix(machine + "@") {
                read(folder + "/" + name + "/console.log", node)
            }
        }
    }

    private func read(_ path: String, _ node: String) {
        guard let file = FileHandle(forReadingAtPath: path) else { return }
        defer { try? file.close() }
        lock.withLock {
            guard (try? file.seek(toOffset: offsets[path] ?? 0)) != nil,
                let data = try? file.readToEnd(), !data.isEmpty
            else { return }
            offsets[path, default: 0] += UInt64(data.count)
            let now = Clock.nowSeconds
            let text = rests[path, default: ""] + String(decoding: data, as: UTF8.self)
            var parts = text.split(
                omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            rests[path] = String(parts.removeLast())
            for part in parts where !part.isEmpty {
                lines.append(
                    Line(
                        seconds: now, node: node, words: part.split(separator: " ").map(String.init)
                    ))
            }
        }
    }

    var all: [Line] { lock.withLock { lines } }

    func of(_ kind: String) -> [Line] { all.filter { $0.words.first == kind } }

    /// The boots that were seen, each once.
    var boots: [String] {
        var seen: [String] = []
        for line in of("boot") where line.words.count == 2 && !seen.contains(line.words[1]) {
            seen.append(line.words[1])
        }
        return seen
    }

    /// The highest record that the guest, since its last boot, was told to be on its disk.
    var lastRecord: UInt64 {
        let all = all
        let boot = all.lastIndex { $0.words.first == "boot" } ?? all.startIndex
        return all[boot...].filter { $0.words.first == "record" }
            .compactMap { $0.words[safe: 1].flatMap { UInt64($0) } }.max() ?? 0
    }

    var errors: [Line] { of("error") }

    /// Waits until `count` more heartbeats than now came from a node.
    func waitForBeats(
        _ count: Int, on node: String, withinSeconds seconds: Double = 60
    ) async throws {
        let before = of("beat").count { $0.node == node }
        let deadline = Clock.nowSeconds + seconds
        while of("beat").count(where: { $0.node == node }) < before + count {
            try require(
                Clock.nowSeconds < deadline,
                "\(machine) gave no \(count) heartbeats on \(node) in \(seconds) s; last lines: "
                    + all.suffix(5).map { "\($0.node): \($0.words.joined(separator: " "))" }
                    .joined(separator: "; "))
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// The longest time without a heartbeat since a time, in seconds.
    func longestGap(sinceSeconds start: Double) -> Double {
        let times = of("beat").map(\.seconds).filter { $0 >= start - 0.2 }
        return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? .infinity
    }

    /// The guest's kernel says that it found itself broken, on another node than it was booted on. ENOMEM
    /// of a write (errno 12) is such a word: no status of a virtio disk becomes that
    /// (`virtblk_result`, drivers/block/virtio_blk.c), only the guest's own memory.
    var hasBrokenAfterMove: Bool {
        var bootNode: String?
        for line in all {
            if line.words.first == "boot" { bootNode = line.node }
            let text = line.words.joined(separator: " ")
            let isCrash =
                [
                    "BUG:", "Oops:", "kernel BUG", "general protection fault", "Kernel panic",
                    "is not a head!",
                ]
                .contains { text.contains($0) }
                || line.words.first == "error" && line.words.last == "12"
            if isCrash, let bootNode, bootNode != line.node { return true }
        }
        return false
    }

    /// The guest was booted once, and its disk never failed. What it said beside its work tells why not.
    func requireOneBoot() throws {
        if boots.count == 1, errors.isEmpty { return }
        let words = all.filter { !["beat", "record"].contains($0.words.first) }
            .map { "\($0.seconds) \($0.node): \($0.words.joined(separator: " "))" }
        throw Finding(
            "\(machine) booted \(boots.count) times, \(errors.count) errors:\n"
                + words.joined(separator: "\n"))
    }

    /// Within one boot neither the heartbeats nor the guest's clock ever went back, and no boot went on
    /// after the next had begun: never did two copies run.
    func requireContinuity() throws {
        var last: (UInt64, UInt64) = (0, 0)
        for line in all {
            if line.words.first == "boot" { last = (0, 0) }
            guard line.words.first == "beat", line.words.count == 3,
                let number = UInt64(line.words[1]), let time = UInt64(line.words[2])
            else { continue }
            try require(
                number > last.0 && time >= last.1,
                "heartbeat \(number) at \(time) ms came after \(last.0) at \(last.1) ms")
            last = (number, time)
        }
    }
}

extension Array {
    subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
