import Foundation
import Management
import VirtualMachines

/// Guests whose storage has failed or is full: QEMU has stopped them (`werror=stop`).
extension MachineManager {
    /// Since when a guest stands still, and how it goes with letting it go on.
    struct Halt {
        let since = ContinuousClock.now
        var triedAt = ContinuousClock.now
    }

    /// How often a guest is let try again; and for how long it must run then to count as going on:
    /// until its write has failed once more it looks as if it did.
    private static let retryPeriod = Duration.seconds(1)
    private static let steadyTime = Duration.seconds(3)

    /// A guest whose storage failed stands still; it is let go on when the storage is back.
    func lookAfterStorage(_ name: String, _ process: MachineProcess) async {
        // A guest that its operator has stopped is not let run.
        guard case .running = copyState(of: name), !paused.contains(name) else { return }
        // A QEMU that does not answer is looked at again with the next tick.
        guard let status = try? await process.status() else { return }
        guard status == .storageFailed else { return noteResumed(name) }
        if halted[name] == nil {
            halted[name] = Halt()
            noteHalted(name, isFull: await process.isStorageFull)
        } else if let halt = halted[name], halt.triedAt.duration(to: .now) < Self.retryPeriod {
            return
        }
        halted[name]?.triedAt = .now
        await attempt(name, "go on") { try await $0.run() }
    }

    private func noteHalted(_ name: String, isFull: Bool) {
        let volume = record(of: name).flatMap { volumeName($0.volume) }
        details[name] = isFull ? "the volume is full" : "its storage does not answer"
        context.events.note(
            .machineHalted, .error, volume: volume,
            cause: isFull ? "the volume is full" : "its storage failed", outcome: "paused",
            isFull
                ? "the machine \(name) stands still: \(volume ?? "its volume") is full. Make space "
                    + "there, and it goes on by itself"
                : "the machine \(name) stands still: \(volume ?? "its volume") does not take its "
                    + "reads and writes. It goes on by itself when the volume does")
    }

    private func noteResumed(_ name: String) {
        guard let halt = halted[name], halt.triedAt.duration(to: .now) >= Self.steadyTime else {
            return
        }
        halted[name] = nil
        details[name] = nil
        context.events.note(
            .machineResumed, volume: record(of: name).flatMap { volumeName($0.volume) },
            cause: "its storage is back", outcome: "running",
            durationSeconds: halt.since.duration(to: .now).seconds,
            "the machine \(name) goes on: its storage is back")
    }
}
