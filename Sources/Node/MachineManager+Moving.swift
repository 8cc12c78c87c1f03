import ClusterAuthority
import Foundation
import MachineCore
import VirtualMachines

/// How copies leave this node: as a stream to another one, or as a file on their volume.
extension MachineManager {
    func send(
        _ name: String, _ epoch: UInt64, _ target: String, _ arrival: String
    ) async {
        guard let process = copies[name] else { return }
        let outcome: MachineHostEvent.Outcome
        do {
            try await process.send(
                to: MigrationTarget(
                    arrival: try MigrationArrival(arrival),
                    hostName: AuthorityNames.dnsName(node: target, clusterID: context.clusterID)),
                credentials: try streamCredentials()
            ) { progress in await self.show(progress, of: name) }
            outcome = .completed
        } catch {
            guard let isSent = await isSent(process, name) else { return }
            outcome = isSent ? .completed : .failed("\(error)")
        }
        details[name] = nil
        deliver(.sent(epoch, outcome), to: name)
    }

    /// Whatever went wrong on the way: QEMU knows whether all of it is over there, and nobody else. Nil:
    /// it is gone, and its end tells.
    private func isSent(_ process: MachineProcess, _ name: String) async -> Bool? {
        while copies[name] === process {
            if let isSent = try? await process.settleStreams() { return isSent }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return nil
    }

    func save(_ name: String, _ epoch: UInt64) async {
        guard let process = copies[name] else { return }
        do {
            let state = process.folder + "/" + MachineConfiguration.stateFileName
            try await VolumeFiles.remove(state)
            try await process.save(to: state) { progress in await self.show(progress, of: name) }
            deliver(.saved(epoch, failure: nil), to: name)
        } catch {
            _ = try? await process.settleStreams()
            deliver(.saved(epoch, failure: "\(error)"), to: name)
        }
        details[name] = nil
    }

    private func show(_ progress: MigrationProgress, of name: String) {
        let percent =
            progress.totalBytes == 0
            ? 0 : 100 - min(100, progress.remainingBytes * 100 / progress.totalBytes)
        var text =
            "\(percent) %, \(progress.transferredBytes >> 20) MiB sent, "
            + "\(progress.remainingBytes >> 20) MiB left, dirty "
            + "\(progress.dirtyBytesPerSecond >> 20) MiB/s, blackout "
            + "\(progress.expectedBlackoutMilliseconds) ms"
        if progress.throttlePercent > 0 { text += ", slowed by \(progress.throttlePercent) %" }
        details[name] = text
    }
}
