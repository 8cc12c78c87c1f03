import Foundation
import MachineSupervision
import Testing

@testable import VirtualMachines

/// A real QEMU below its supervisor, with nothing in it: it never leaves its firmware.
@Suite(
    .serialized,
    .enabled(
        if: access("/usr/bin/qemu-system-x86_64", X_OK) == 0, "needs QEMU (qemu-system-x86)"))
struct ProcessTests {
    private static var supervisor: String {
        let folder =
            ProcessInfo.processInfo.environment["COVOL_BIN_DIR"]
            ?? FileManager.default.currentDirectoryPath + "/.build/debug"
        return folder + "/covol-machine"
    }

    private func withCopy(
        leaseSeconds: UInt64 = 60, isIncoming: Bool = false,
        _ body: (MachineProcess) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "covol-vm-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = MachineConfiguration(
            name: "empty", memoryBytes: 64 << 20, cpus: 1, disks: [], network: "none",
            accelerator: .tcg)
        let process = try await MachineProcess.start(
            QEMUCommand(
                configuration: configuration, folder: folder,
                directory: MachineRunDirectory(path: folder + "/run"), isIncoming: isIncoming),
            supervisor: Self.supervisor,
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

    private func expect(_ status: MachineProcess.Status, _ process: MachineProcess) async throws {
        let now = try await process.status()
        #expect(now == status)
    }

    @Test func itStandsStillUntilItIsToldToRun() async throws {
        try await withCopy { process in
            try await expect(.standing, process)
            try await process.run()
            try await expect(.running, process)
            try await process.pause()
            try await expect(.standing, process)
        }
    }

    @Test func anIncomingCopyReceives() async throws {
        try await withCopy(isIncoming: true) { process in
            try await expect(.receiving, process)
        }
    }

    @Test func theSupervisorEndsItWithItsLease() async throws {
        try await withCopy(leaseSeconds: 2) { process in
            try await process.run()
            let (reason, isGuestsWish) = await process.ended()
            #expect(reason == "the node had lost its membership" && !isGuestsWish)
            #expect(MachineEnd(in: process.directory)?.cause == .lease)
        }
    }

    @Test func anExtendedLeaseLetsItRun() async throws {
        try await withCopy(leaseSeconds: 2) { process in
            #expect(process.extendLease(toNanoseconds: bootNanoseconds() + 60_000_000_000))
            try await Task.sleep(for: .seconds(3))
            #expect(process.processes.machine.isAlive)
        }
    }

    @Test func itEndsWithItsSupervisor() async throws {
        try await withCopy { process in
            kill(process.processes.supervisor.process, SIGKILL)
            let (reason, _) = await process.ended()
            #expect(reason == "its supervisor was killed")
            #expect(!process.processes.machine.isAlive)
        }
    }

    @Test func itIsFoundAgain() async throws {
        try await withCopy { process in
            // One at a time can use a monitor: the first daemon is gone.
            await process.monitor.close()
            let found = try await MachineProcess.find(in: process.directory, folder: "/v")
            #expect(found?.processes == process.processes)
            try await found?.run()
            let status = try await found?.status()
            #expect(status == .running)
        }
    }

    @Test func whatQEMURefusesIsToldInItsWords() async throws {
        try await withCopy { process in
            await #expect(throws: MachineError.self) {
                try await process.send(
                    to: MigrationTarget(address: "127.0.0.1:1", hostName: "x"),
                    credentials: "/nonexistent"
                ) { _ in }
            }
            try await expect(.standing, process)
        }
    }

    @Test func aCopyThatCannotStartSaysWhy() async throws {
        let folder = NSTemporaryDirectory() + "covol-vm-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = MachineConfiguration(
            name: "missing", memoryBytes: 64 << 20, cpus: 1,
            disks: [.init(file: "nothing.raw", format: .raw)], network: "none", accelerator: .tcg)
        do {
            _ = try await MachineProcess.start(
                QEMUCommand(
                    configuration: configuration, folder: folder,
                    directory: MachineRunDirectory(path: folder + "/run"), isIncoming: false),
                supervisor: Self.supervisor,
                leaseEndNanoseconds: bootNanoseconds() + 60_000_000_000)
            Issue.record("it started without its disk")
        } catch { #expect("\(error)".contains("nothing.raw"), "\(error)") }
    }
}
