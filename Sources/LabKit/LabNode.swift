import Foundation

/// One node of a lab.
public struct LabNode: Sendable {
    public let lab: Lab
    public let plan: LabNodePlan

    public var name: String { plan.name }
    /// Where this node shows the lab's volume.
    public var volumePath: String { plan.volumePath }

    /// The daemon's process, also when it ended; nil before its start.
    public var daemon: ProcessIdentity? { lab.currentRecord.daemons[name] }
    public var isAlive: Bool { daemon?.isAlive ?? false }

    /// What a command on this node gets.
    public var environment: [String: String] {
        let caller = Command.callerEnvironment
        let own = plan.environment(
            binaryDirectory: lab.binaries.directory, path: caller["PATH"] ?? "")
        return caller.merging(own) { _, own in own }
    }

    /// Runs a command in the node's network namespace, with `covol` bound to the node.
    ///
    /// When it does not end in time it is killed; if it then hangs in a volume of this lab, the
    /// lab's FUSE connections are aborted, which the nodes' volumes do not survive.
    /// - Throws: `LabError` (`commandTimedOut`, `missingBinary`, `systemCall`); not for a status.
    public func run(
        _ words: [String], input: [UInt8] = [],
        timeoutSeconds: Double = LabLimits.commandSeconds
    ) async throws(LabError) -> CommandResult {
        let (directory, lun) = (lab.plan.directory, lab.plan.lunDirectory)
        let command = Command(
            words, environment: environment, workingDirectory: plan.directory,
            networkNamespace: plan.namespace, input: input, timeoutSeconds: timeoutSeconds)
        // The paths to a simulated LUN stay: what hangs in one is the nodes' to deal with.
        return try await command.run {
            try? FUSEConnections.abort(below: directory, except: lun)
        }
    }

    /// Runs `covol` bound to this node.
    public func covol(
        _ arguments: [String], timeoutSeconds: Double = LabLimits.commandSeconds
    ) async throws(LabError) -> CommandResult {
        try await run([lab.binaries.covol] + arguments, timeoutSeconds: timeoutSeconds)
    }

    /// Starts the node's daemon.
    public func start() throws(LabError) {
        guard !isAlive else { throw LabError(.badOption, "\(name) runs already") }
        let command = Command(
            [lab.binaries.covold, "--config", plan.configurationPath], workingDirectory: "/",
            networkNamespace: plan.namespace)
        let daemon = try LogFile(path: plan.log).start(command)
        try lab.update { $0.daemons[name] = daemon }
    }

    /// Waits until the daemon's API can be connected to.
    public func waitForSocket() async throws {
        guard let daemon else {
            throw LabError(.daemonFailed, "\(name) was not started")
        }
        try await lab.wait(
            atMostSeconds: LabLimits.daemonStartSeconds, forProcess: daemon, log: plan.log,
            what: name
        ) {
            UnixSocket.accepts(plan.socket)
        }
    }

    /// Sends the daemon a signal: SIGKILL is a crash, SIGSTOP and SIGCONT a pause.
    /// With SIGKILL it returns when the process is gone.
    public func signal(_ number: Int32) async throws(LabError) {
        guard let daemon, daemon.isAlive, daemon.signal(number) else {
            throw LabError(
                .daemonFailed,
                "\(name) does not run: `covol lab fault \(lab.plan.directory) \(name) daemon "
                    + "start` starts it")
        }
        guard number == SIGKILL else { return }
        let isGone = try await Blocking.run { () throws(LabError) in
            Clock.wait(atMostSeconds: LabLimits.goneSeconds) { !daemon.isAlive }
        }
        guard isGone else {
            throw LabError(
                .leftovers,
                "\(name) (pid \(daemon.pid)) was killed, and is still there: it waits for I/O "
                    + "of its path, perhaps, that hangs")
        }
    }
}
