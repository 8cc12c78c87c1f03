import VolumeModel

/// Runs seeds, one after another or side by side.
public enum SimulationRunner {
    /// Every rule with its name.
    public static let controls = SafetyRules.named

    /// One run. `without` names a rule that is broken in it; its weather is then that rule's.
    public static func run(
        seed: UInt64, without broken: SafetyRules = [], isTracing: Bool = false
    ) -> RunResult {
        var result = RunResult(
            seed: seed, violation: nil, eventCount: 0, counts: RunCounts(), trace: [])
        // A rule of the machines' breaks nothing of the volumes'.
        if broken != .machineOnce {
            result =
                Simulation(
                    seed: seed, rules: .all.subtracting(broken), focus: broken,
                    isTracing: isTracing
                ).run()
        }
        guard result.violation == nil, broken.isEmpty || broken == .machineOnce else {
            return result
        }
        let machines = MachineSimulation(
            seed: seed, rules: .all.subtracting(broken), isTracing: isTracing)
        machines.run()
        result.violation = machines.violation
        result.eventCount += machines.eventCount
        result.trace += machines.trace
        return result
    }

    /// Runs seeds side by side; stops after some violations.
    public static func run(
        seeds count: Int, from start: UInt64, failuresMaximum: Int = 5,
        onResult: (RunResult) -> Void = { _ in }
    ) async -> SeedsReport {
        var report = SeedsReport(start: start)
        await inPieces(count: count, from: start) {
            []
        } then: { results in
            for result in results {
                report.add(result)
                onResult(result)
            }
            return report.failures.count < failuresMaximum
        }
        return report
    }

    /// Breaks a rule, and runs seeds until one of them shows it.
    public static func control(
        _ rule: SafetyRules, seedsMaximum: Int, from start: UInt64
    ) async -> ControlResult {
        var found = ControlResult(seedCount: 0)
        await inPieces(count: seedsMaximum, from: start) {
            rule
        } then: { results in
            for result in results {
                found.seedCount += 1
                if let violation = result.violation {
                    found.seed = result.seed
                    found.violation = violation
                    return false
                }
            }
            return true
        }
        return found
    }

    private static let pieceSize = 8

    private static func inPieces(
        count: Int, from start: UInt64, without broken: () -> SafetyRules,
        then: ([RunResult]) -> Bool
    ) async {
        let broken = broken()
        let end = start + UInt64(max(count, 0))
        await withTaskGroup(of: (UInt64, [RunResult]).self) { group in
            var next = start
            func add() {
                guard next < end else { return }
                let seeds = next..<min(end, next + UInt64(pieceSize))
                next = seeds.upperBound
                group.addTask {
                    (seeds.lowerBound, seeds.map { run(seed: $0, without: broken) })
                }
            }
            for _ in 0..<2 { add() }
            // In the order of seeds, whoever is done first: what is printed must not depend on that.
            var waiting: [UInt64: [RunResult]] = [:]
            var expected = start
            while let (first, results) = await group.next() {
                waiting[first] = results
                var goesOn = true
                while goesOn, let ready = waiting.removeValue(forKey: expected) {
                    expected += UInt64(ready.count)
                    goesOn = then(ready)
                }
                guard goesOn else {
                    next = end
                    return
                }
                add()
            }
        }
    }
}

/// What many runs did.
public struct SeedsReport: Sendable, CustomStringConvertible {
    public let start: UInt64
    public private(set) var seedCount = 0
    public private(set) var failures: [RunResult] = []
    public private(set) var counts = RunCounts()
    public private(set) var eventCount = 0

    init(start: UInt64) { self.start = start }

    mutating func add(_ result: RunResult) {
        seedCount += 1
        eventCount += result.eventCount
        counts.add(result.counts)
        if result.violation != nil { failures.append(result) }
    }

    public var description: String {
        "\(seedCount) seeds from \(start): \(failures.count) with a violation; "
            + "\(eventCount) events; direct reads \(counts.directReads), writes "
            + "\(counts.directWrites); redirected reads \(counts.redirectedReads), writes "
            + "\(counts.redirectedWrites); acknowledged operations \(counts.operations), "
            + "recalls \(counts.recalls), of metadata \(counts.metadataRecalls) (answered from the "
            + "cache \(counts.metadataAnswered)), mounts \(counts.mounts), fences \(counts.fences)"
    }
}

/// Whether the break of a rule was noticed.
public struct ControlResult: Sendable {
    public var seedCount: Int
    public var seed: UInt64?
    public var violation: Violation?

    public func describe(_ name: String) -> String {
        let padded = name + String(repeating: " ", count: max(0, 28 - name.count))
        guard let violation, let seed else { return "\(padded)NOT NOTICED in \(seedCount) seeds" }
        return "\(padded)\(seedCount) seeds  SEED=\(seed): \(violation.check)"
    }
}
