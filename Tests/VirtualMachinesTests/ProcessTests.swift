import Foundation
import MachineSupervision
import Testing

@testable import VirtualMachines

/// A real QEMU below its supervisor, with nothing in it: it never leaves its firmware.
@Suite(.serialized, .needsQEMU)
struct ProcessTests {
    @Test func itStandsStillUntilItIsToldToRun() async throws {
        try await withCopy { process in
            try await expectStatus(.standing, process)
            try await process.run()
            try await expectStatus(.running, process)
            try await process.pause()
            try await expectStatus(.standing, process)
        }
    }

    @Test func anIncomingCopyReceives() async throws {
        try await withCopy(isIncoming: true) { process in
            try await expectStatus(.receiving, process)
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
                    to: MigrationTarget(
                        arrival: MigrationArrival(address: "127.0.0.1:1"), hostName: "x"),
                    credentials: "/nonexistent"
                ) { _ in }
            }
            try await expectStatus(.standing, process)
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
                supervisor: testSupervisor,
                leaseEndNanoseconds: bootNanoseconds() + 60_000_000_000)
            Issue.record("it started without its disk")
        } catch { #expect("\(error)".contains("nothing.raw"), "\(error)") }
    }
}
