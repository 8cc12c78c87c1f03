import Foundation
import LabKit

/// What the environment says about the tests of faults.
enum FaultSettings {
    /// COVOL_FAULT_ROUNDS: how often what is random is repeated; `standard` in a short run.
    static func rounds(_ standard: Int) -> Int { number("COVOL_FAULT_ROUNDS") ?? standard }

    /// COVOL_FAULT_SECONDS: how long a fault lasts where a test may choose.
    static func seconds(_ standard: Double) -> Double {
        number("COVOL_FAULT_SECONDS").map(Double.init) ?? standard
    }

    /// Every variant of what a short run shows with one.
    static let variants: [Bool] = number("COVOL_FAULT_ROUNDS") == nil ? [true] : [false, true]

    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
}

/// The programs in Tests/Tools.
enum FaultTools {
    static let prober = path("prober.py")
    static let storm = path("storm.py")
    static let holder = path("holder.py")
    static let scatter = path("scatter.py")

    /// Left to the kernel to resolve: this file's folder may be reached by a link.
    private static func path(_ name: String) -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
        return folder + "/../../../Tools/" + name
    }
}

/// Asks until the answer is yes.
/// - Throws: a `Finding` with `what` when the time is over.
func eventually(
    _ what: @autoclosure () -> String, atMostSeconds: Double = 30, pollSeconds: Double = 0.1,
    isolation: isolated (any Actor)? = #isolation, _ isSo: () async throws -> Bool
) async throws {
    let deadline = bootSeconds() + atMostSeconds
    while try await !isSo() {
        guard bootSeconds() < deadline else {
            throw Finding("not within \(atMostSeconds) s: \(what())")
        }
        try await Task.sleep(for: .seconds(pollSeconds))
    }
}

/// CLOCK_BOOTTIME, as the programs and the simulator's log have it.
func bootSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Shown with the test's output.
func tell(_ line: String) {
    FileHandle.standardError.write(Data(("faults: " + line + "\n").utf8))
}
