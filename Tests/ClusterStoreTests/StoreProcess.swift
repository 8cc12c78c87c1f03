import Foundation
import Glibc

/// A `covol-store` of its own, from the directory of the test binary.
final class StoreProcess {
    private let process = Process()
    private let output = Pipe()
    let errors = Pipe()

    static let executable: String = {
        let binary = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        return URL(fileURLWithPath: binary ?? "").deletingLastPathComponent()
            .appendingPathComponent("covol-store").path
    }()

    /// Returns when it is ready; nil when it ended instead.
    static func start(_ directory: TestDirectory) async throws -> StoreProcess? {
        let store = try StoreProcess(directory)
        return await store.isReady() ? store : nil
    }

    init(_ directory: TestDirectory) throws {
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments = [
            "--database", directory.database, "--socket", directory.socket, "--log-level",
            "warning",
        ]
        process.standardOutput = output
        process.standardError = errors
        try process.run()
    }

    deinit {
        if process.isRunning { kill() }
    }

    func isReady() async -> Bool {
        let handle = output.fileHandleForReading
        return await withCheckedContinuation { done in
            DispatchQueue.global().async {
                done.resume(returning: handle.readData(ofLength: 6) == Data("ready\n".utf8))
            }
        }
    }

    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func signal(_ number: Int32) {
        Glibc.kill(process.processIdentifier, number)
    }

    /// The exit status, after it ended by itself.
    func ended() -> Int32 {
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -1
    }
}
