import CLinux
import Glibc

extension LabNode {
    /// Does this to the node, and returns when it is in force.
    /// - Throws: `badOption` where this lab or the node's state does not allow it, with what to do.
    public func apply(_ fault: LabFault) async throws {
        switch fault {
        case .storage(let storage): try await apply(storage)
        case .network(let network, let isUp): try await setNetwork(network, isUp: isUp)
        case .power(true): try await powerOn()
        case .power(false): try await powerOff()
        case .daemon(let action): try await apply(action)
        }
    }

    // MARK: Storage

    private func apply(_ storage: LabFault.Storage) async throws(LabError) {
        let control = try lunControl()
        guard try await !isPoweredOff() else {
            throw LabError(
                .badOption,
                "\(name) is powered off, its path is cut: "
                    + "`covol lab fault \(lab.plan.directory) \(name) power on` first")
        }
        switch storage {
        case .fail: try await control.setFault(path: name, kind: "fail")
        case .hang: try await control.setFault(path: name, kind: "hang")
        case .slow(let milliseconds):
            try await control.setFault(path: name, kind: "slow", milliseconds: milliseconds)
        case .lateWrite: try await control.setFault(path: name, kind: "late-write")
        case .releaseLate: try await control.setFault(path: name, kind: "release-late")
        case .restore: try await control.setFault(path: name, kind: "restore")
        }
    }

    /// - Throws: `badOption` where the lab has no simulated LUN.
    private func lunControl() throws(LabError) -> LUNControl {
        guard let control = lab.lunControl else {
            throw LabError(
                .badOption,
                "this lab's nodes open the image itself, which takes no faults: make a lab with "
                    + "`covol lab up --simulated-lun`")
        }
        return control
    }

    /// Only `power off` cuts a path.
    func isPoweredOff() async throws(LabError) -> Bool {
        guard let control = lab.lunControl else { return false }
        return try await control.status().paths.contains { $0.name == name && $0.fault == "cut" }
    }

    // MARK: Network

    /// The node keeps its addresses and loses the carrier, as with a cable.
    private func setNetwork(
        _ network: LabFault.Network, isUp: Bool
    ) async throws(LabError) {
        let words = [
            "ip", "-n", lab.plan.switchNamespace, "link", "set",
            "\(network.rawValue)\(plan.number)", isUp ? "up" : "down",
        ]
        try await Blocking.run { () throws(LabError) in _ = try Command(words).runChecked() }
    }

    // MARK: Power

    private func powerOff() async throws {
        // First of all, so that what dies writes nothing more on its way out.
        try await lunControl().setFault(path: name, kind: "cut")
        let daemon = self.daemon
        let plan = self.plan
        try await Blocking.run { () throws(LabError) in
            try Self.killAll(daemon, in: plan)
            try Self.removeMounts(of: plan)
            let kept = LoopDevices.detach { $0 == plan.lunPath }
            guard kept.isEmpty else {
                throw LabError(
                    .leftovers,
                    "\(plan.name) is off, but \(kept.joined(separator: ", ")) still uses its path")
            }
        }
    }

    private func powerOn() async throws {
        let control = try lunControl()
        if isAlive, try await !isPoweredOff() {
            throw LabError(.badOption, "\(name) is on: its daemon runs")
        }
        try await control.setFault(path: name, kind: "restore")
        let plan = self.plan
        try await Blocking.run { () throws(LabError) in try Self.removeMounts(of: plan) }
        try await startAgain()
    }

    private static func killAll(
        _ daemon: ProcessIdentity?, in plan: LabNodePlan
    ) throws(LabError) {
        // The daemon first: it would tell its coordinator that a program which dies has closed its
        // files, and nobody tells that when the power goes. It may be late where it hangs in the kernel.
        if let daemon {
            daemon.signal(SIGKILL)
            _ = Clock.wait(atMostSeconds: LabLimits.daemonGoneSeconds) { !daemon.isAlive }
        }
        var rest: [ProcessIdentity] = []
        let areGone = Clock.wait(atMostSeconds: LabLimits.goneSeconds) {
            let all = [daemon].compactMap { $0 } + NetworkNamespace.processes(in: [plan.namespace])
            rest = Set(all).filter(\.isAlive)
            for process in rest { process.signal(SIGKILL) }
            // Who waits for a volume whose daemon is dead already.
            if !rest.isEmpty { try? FUSEConnections.abort(below: plan.directory) }
            return rest.isEmpty
        }
        guard areGone else {
            throw LabError(
                .leftovers,
                "\(plan.name): processes \(rest.map(\.pid)) were killed, and are still there")
        }
    }

    /// Aborts and takes away what the node shows, served or not.
    static func removeMounts(of plan: LabNodePlan) throws(LabError) {
        let mounts = try MountInfo.below(plan.directory)
        try FUSEConnections.abort(mounts)
        for mount in mounts { _ = covol_unmount_lazily(mount.mountPoint) }
    }

    // MARK: Daemon

    private func apply(_ action: LabFault.Daemon) async throws {
        switch action {
        case .kill: try await signal(SIGKILL)
        case .stop: try await signal(SIGSTOP)
        case .continue: try await signal(SIGCONT)
        case .start:
            guard !isAlive else { throw LabError(.badOption, "\(name) runs already") }
            guard try await !isPoweredOff() else {
                throw LabError(
                    .badOption,
                    "\(name) is powered off: "
                        + "`covol lab fault \(lab.plan.directory) \(name) power on` starts it")
            }
            try await startAgain()
        }
    }

    /// What the daemon before showed is its successor's to go on with, or to take away.
    private func startAgain() async throws {
        try start()
        try await waitForSocket()
    }
}

extension Lab {
    /// The simulated LUN's control, where the lab has one.
    public var lunControl: LUNControl? {
        plan.options.simulatedLUN ? LUNControl(socket: plan.lunSocket) : nil
    }
}
