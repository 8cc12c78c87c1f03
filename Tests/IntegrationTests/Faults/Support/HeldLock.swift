import Foundation

@testable import LabKit

/// Waits until a program on a node has said with a file that it is ready.
func waitForFile(
    _ path: String, atMostSeconds: Double = 30, isolation: isolated (any Actor)? = #isolation
) async throws {
    try await eventually("there is \(path)", atMostSeconds: atMostSeconds) {
        FileManager.default.fileExists(atPath: path)
    }
}

/// Runs `body` while a program on a node holds flock(2) on a file of the volume. Then the program is
/// killed, unless it ended with its node.
func withHeldLock(
    _ lab: Lab, on node: LabNode, file: String, isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> Void
) async throws {
    let ready = lab.plan.directory + "/holds-\(file)"
    let pid = ready + ".pid"
    let script =
        "echo $$ >'\(pid)'; exec python3 '\(FaultTools.holder)' lock "
        + "'\(node.volumePath)/\(file)' '\(ready)'"
    let holder = Task { try await node.run(["bash", "-c", script], timeoutSeconds: 150) }
    func end() async {
        if let text = try? String(contentsOfFile: pid, encoding: .utf8),
            let number = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            // Its number may be somebody else's by now.
            let words = try? SystemFile.bytes("/proc/\(number)/cmdline"),
            String(decoding: words, as: UTF8.self).contains(ready)
        {
            kill(number, SIGKILL)
        }
        _ = try? await holder.value
    }
    do {
        try await waitForFile(ready)
        try await body()
    } catch {
        await end()
        throw error
    }
    await end()
}
