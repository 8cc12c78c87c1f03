/// What the daemon does for virtual machines: the machines' part of ``ManagementBackend``.
///
/// Names have been validated (`MachineName.validate`, `NodeName.validate`) before the server calls.
public protocol MachineBackend: Sendable {
    /// Every machine, by name.
    func machines() async throws -> [MachineSummary]

    /// One machine; `ManagementError` of code `machine-not-found` where there is none of that name.
    func machine(named name: String) async throws -> MachineSummary

    /// Makes a machine's folder, configuration and disks on its volume. Not cancelled when its client
    /// goes away.
    ///
    /// - Parameter progress: called with one line for the operator as each step begins.
    func createMachine(
        _ request: MachineCreateRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Changes what an operator may set; what the guest sees changes with its next start.
    func setMachine(_ name: String, _ settings: MachineSettings) async throws

    /// Carries an order out, and returns when the machine is where it was ordered to be. Not cancelled
    /// when its client goes away.
    ///
    /// - Parameter progress: as for `createMachine`.
    func order(
        _ order: MachineOrder, machine name: String,
        progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Takes a turn at the serial console of a machine, on whatever node it runs. `ManagementError` of
    /// code `conflict` where it does not run, or its console is in use.
    func console(_ exchange: ConsoleExchange, machine name: String) async throws -> ConsoleAnswer

    /// Removes a machine that is off, with its folder.
    func removeMachine(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Moves every machine and every volume's coordinator off a node, which gets no new ones until
    /// `resumeNode`. Returns when nothing is left there. Not cancelled when its client goes away.
    func drainNode(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Lets a node have machines and coordinators again.
    ///
    /// - Parameter failback: the machines that were drained from it go back.
    func resumeNode(
        _ name: String, failback: Bool, progress: @escaping @Sendable (String) async -> Void
    ) async throws
}
