import Foundation
import LabKit
import Testing

/// What `prober.py` can do.
enum Probe: String, Sendable, CaseIterable {
    case read, write, fsync, metadata, extend, fio
    case fioSync = "fio-sync"

    /// I/O of blocks that are mapped, which no fault of another node may stop.
    static let mapped: Set<Probe> = [.read, .write, .fsync]
}

/// What a probe on a node saw.
struct ProbeResult: Sendable {
    let node: String
    let probe: Probe
    var count = 0
    /// The longest single operation, and when it began (CLOCK_BOOTTIME).
    var longestSeconds = 0.0
    var longestAtSeconds = 0.0
    var error: String?

    private struct Line: Decodable {
        var count: Int
        var longestSeconds: Double
        var longestAtSeconds: Double
        var error: String?
    }

    init(node: String, probe: Probe, _ run: Result<CommandResult, LabError>) {
        (self.node, self.probe) = (node, probe)
        switch run {
        case .failure(let failure): error = "\(failure)"
        case .success(let result):
            guard let line = try? JSONDecoder().decode(Line.self, from: Data(result.stdoutBytes))
            else {
                error = "status \(result.status): \(result.stdout)\(result.stderr)"
                return
            }
            count = line.count
            longestSeconds = line.longestSeconds
            longestAtSeconds = line.longestAtSeconds
            error = line.error
        }
    }
}

struct LoadReport: Sendable {
    var results: [ProbeResult]

    /// No application saw anything but time pass.
    func expectNoErrors(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
        for result in results {
            #expect(
                result.error == nil,
                "\(what): \(result.node) \(result.probe): \(result.error ?? "")",
                sourceLocation: sourceLocation)
            #expect(
                result.error != nil || result.count > 0,
                "\(what): \(result.node) \(result.probe) did nothing",
                sourceLocation: sourceLocation)
        }
    }

    /// The longest operation of these probes on these nodes.
    func longest(_ probes: Set<Probe>, on nodes: [LabNode]? = nil) -> Double {
        let names = nodes.map { Set($0.map(\.name)) }
        return results.filter {
            probes.contains($0.probe) && names?.contains($0.node) ?? true
        }.map(\.longestSeconds).max() ?? 0
    }

    func tellLongest(_ what: String) {
        let rows = results.filter { ![.fio, .fioSync].contains($0.probe) }.map { result in
            "\(result.node) \(result.probe) \(Int(result.longestSeconds * 1000)) ms"
        }
        tell("\(what): longest: \(rows.joined(separator: ", "))")
    }
}

extension Lab {
    /// Runs `body` while probes run on nodes, and returns what they saw. They have begun, and their
    /// files are mapped, before `body` starts; they go on for a moment after it.
    func underLoad(
        _ name: String, on nodes: [LabNode], _ probes: [Probe] = [.fio, .write, .metadata],
        limitSeconds: Double = 150 + 3 * FaultSettings.seconds(0),
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Void
    ) async throws -> LoadReport {
        let directory = "\(plan.directory)/load-\(name)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let stop = directory + "/stop"
        func end() throws { try Data().write(to: URL(fileURLWithPath: stop)) }
        let probes = nodes.flatMap { node in probes.map { (node, $0) } }
        let ready = probes.map { "\(directory)/ready-\($0.name)-\($1.rawValue)" }
        let tasks = zip(probes, ready).map { probe, ready in
            let (node, kind) = probe
            let place = "\(node.volumePath)/load-\(name)-\(node.name)-\(kind.rawValue)"
            return Task {
                let words = ["python3", FaultTools.prober, kind.rawValue, place, stop, ready]
                do throws(LabError) {
                    return ProbeResult(
                        node: node.name, probe: kind,
                        .success(try await node.run(words, timeoutSeconds: limitSeconds)))
                } catch {
                    return ProbeResult(node: node.name, probe: kind, .failure(error))
                }
            }
        }
        do {
            try await eventually("all probes run", atMostSeconds: 60) {
                ready.allSatisfy { FileManager.default.fileExists(atPath: $0) }
            }
            try await body()
            try await Task.sleep(for: .milliseconds(500))
        } catch {
            try end()
            for task in tasks {
                let result = await task.value
                if let seen = result.error { tell("\(result.node) \(result.probe): \(seen)") }
            }
            throw error
        }
        try end()
        var report = LoadReport(results: [])
        for task in tasks { report.results.append(await task.value) }
        report.tellLongest(name)
        return report
    }
}
