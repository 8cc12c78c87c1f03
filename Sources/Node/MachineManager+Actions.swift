import ClusterStore
import Foundation
import Logging
import MachineCore
import Management
import VirtualMachines
import VolumeModel

extension MachineManager {
    /// A guest that was asked to shut down has so long.
    static let shutdownGrace = Duration.seconds(60)
    /// A copy that may run, and cannot yet, is given up after so long.
    static let resumePatience = Duration.seconds(60)

    func perform(_ action: MachineHostAction, on name: String) async {
        switch action {
        case .launch(let epoch, let isRestoring): await launch(name, epoch, isRestoring)
        case .receive(let epoch): await receive(name, epoch)
        case .send(let epoch, let target, let address): await send(name, epoch, target, address)
        case .cancel: await attempt(name, "cancel") { try await $0.cancelSending() }
        case .resume(let epoch): await resume(name, epoch)
        case .pause(let wanted):
            await attempt(name, "pause") { process in
                wanted ? try await process.pause() : try await process.run()
                if wanted { paused.insert(name) } else { paused.remove(name) }
            }
        case .save(let epoch): await save(name, epoch)
        case .stop(.shutdown): await shutDown(name)
        case .stop(.powerOff), .kill: kill(name)
        case .write(let next, let after): await write(next, after: after)
        }
    }

    func attempt(
        _ name: String, _ what: String, _ body: (MachineProcess) async throws -> Void
    ) async {
        guard let process = copies[name] else { return }
        do {
            try await body(process)
        } catch {
            log.warning(
                "a machine does not obey",
                metadata: ["machine": "\(name)", "order": "\(what)", "error": "\(error)"])
        }
    }

    // MARK: Running and ending

    private func resume(_ name: String, _ epoch: UInt64) async {
        guard let process = copies[name], context.membership.isValid else { return kill(name) }
        // Its image's lock may still be on its way from the last owner, past a coordinator that changes.
        let deadline = ContinuousClock.now + Self.resumePatience
        while true {
            do {
                try await process.run()
                break
            } catch {
                log.warning(
                    "a machine does not run yet",
                    metadata: ["machine": "\(name)", "error": "\(error)"])
                guard ContinuousClock.now < deadline, context.membership.isValid,
                    copies[name] === process
                else { return process.kill() }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        details[name] = nil
        // QEMU does it when the stream ends, which may be before it runs.
        await attempt(name, "announce") { try await $0.announce() }
        if let record = record(of: name) {
            context.events.note(
                .machineRuns, volume: volumeName(record.volume), outcome: "epoch \(epoch)",
                "the machine \(name) runs on \(context.node)")
        }
        // The state that it goes on from is of no use any more, and would be of none.
        let state = process.folder + "/" + MachineConfiguration.stateFileName
        try? await VolumeFiles.remove(state)
    }

    func watchEnd(of process: MachineProcess, _ name: String) {
        Task {
            let (reason, isGuestsWish) = await process.ended()
            guard copies[name] === process else { return }
            copies[name] = nil
            paused.remove(name)
            halted[name] = nil
            details[name] = nil
            log.notice(
                "a machine's copy has ended",
                metadata: ["machine": "\(name)", "reason": "\(reason)"])
            deliver(.exited(reason: reason, isGuestsWish: isGuestsWish), to: name)
        }
    }

    private func kill(_ name: String) {
        if let process = copies[name] {
            process.kill()
        } else {
            unwanted.insert(name)
        }
    }

    private func shutDown(_ name: String) async {
        guard let process = copies[name] else { return kill(name) }
        await attempt(name, "shut down") { try await $0.shutDown() }
        Task {
            try? await Task.sleep(for: Self.shutdownGrace)
            guard copies[name] === process else { return }
            log.warning(
                "a guest did not shut down in time: its plug is pulled",
                metadata: ["machine": "\(name)"])
            process.kill()
        }
    }

    // MARK: Records

    private func write(_ next: MachineRecord, after: MachineRecord) async {
        let key = StoreKeys.machine(next.name)
        var isWritten = false
        while true {
            do {
                let current = try await context.store.getJSON(key, as: MachineRecord.self)
                if !isWritten, let current, current.value == after {
                    isWritten =
                        try await context.store.compareAndPutJSON(
                            key, modRevision: current.entry.modRevision, next) != nil
                }
                let newest = try await context.store.get(key)
                let record = try newest.entry.map { entry in
                    Decoded(value: try entry.decoded(as: MachineRecord.self), entry: entry)
                }
                take(record, of: next.name, at: newest.revision)
                return deliver(.wrote(isWritten), to: next.name)
            } catch {
                log.warning(
                    "a machine's record could not be written yet",
                    metadata: ["machine": "\(next.name)", "error": "\(error)"])
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
