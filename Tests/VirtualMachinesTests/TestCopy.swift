import Foundation
import MachineSupervision
import Testing

@testable import VirtualMachines

extension Trait where Self == ConditionTrait {
    static var needsQEMU: Self {
        .enabled(
            if: access("/usr/bin/qemu-system-x86_64", X_OK) == 0, "needs QEMU (qemu-system-x86)")
    }
}

/// The program `covol-machine` of this build.
var testSupervisor: String {
    let folder =
        ProcessInfo.processInfo.environment["COVOL_BIN_DIR"]
        ?? FileManager.default.currentDirectoryPath + "/.build/debug"
    return folder + "/covol-machine"
}

/// Starts a copy of a machine with nothing in it, and ends it afterwards.
func withCopy(
    memoryBytes: UInt64 = 64 << 20, leaseSeconds: UInt64 = 60, isIncoming: Bool = false,
    _ body: (MachineProcess) async throws -> Void
) async throws {
    let folder = NSTemporaryDirectory() + "covol-vm-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let configuration = MachineConfiguration(
        name: "empty", memoryBytes: memoryBytes, cpus: 1, disks: [], network: "none",
        accelerator: .tcg)
    let process = try await MachineProcess.start(
        QEMUCommand(
            configuration: configuration, folder: folder,
            directory: MachineRunDirectory(path: folder + "/run"), isIncoming: isIncoming),
        supervisor: testSupervisor,
        leaseEndNanoseconds: bootNanoseconds() + leaseSeconds * 1_000_000_000)
    do {
        try await body(process)
    } catch {
        process.kill()
        _ = await process.ended()
        throw error
    }
    process.kill()
    _ = await process.ended()
    #expect(!process.processes.machine.isAlive)
}

func expectStatus(_ status: MachineProcess.Status, _ process: MachineProcess) async throws {
    let now = try await process.status()
    #expect(now == status)
}
