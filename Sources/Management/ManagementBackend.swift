/// What the daemon does for its operators: the one interface below the HTTP API.
///
/// The daemon implements it, `ManagementServer` serves it, and `ManagementClient` implements it
/// again at the other end of the socket, so that a command is written once against this protocol.
///
/// Every method may be called from any task, several at once. Names have been validated
/// (`VolumeName.validate`) before the server calls; operating errors are `ManagementError`,
/// anything else that is thrown is answered as `internal` with its description.
public protocol ManagementBackend: MachineBackend {
    /// The cluster, and this node's place in it.
    func cluster() async throws -> ClusterSummary

    /// Every node that the cluster knows, by name.
    func nodes() async throws -> [NodeSummary]

    /// Every volume, by name.
    func volumes() async throws -> [VolumeSummary]

    /// One volume; `ManagementError.volumeNotFound` where there is none of that name.
    func volume(named name: String) async throws -> VolumeSummary

    /// Adds a LUN as a volume, and returns when every node that is up serves it.
    ///
    /// The server does not cancel it when its client goes away: a half-made file system serves
    /// nobody.
    ///
    /// - Parameter progress: called with one line for the operator as each step begins.
    func addVolume(
        _ request: VolumeAddRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary

    /// Renames a volume on every node, also while files are open.
    func renameVolume(_ name: String, to newName: String) async throws -> VolumeSummary

    /// Gives the LUN back. Not cancelled when its client goes away.
    ///
    /// - Parameter progress: as for `addVolume`.
    func removeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Puts a volume into redirected mode on all nodes (`RedirectReason.userRequest`), and returns
    /// when the last direct I/O has ended. Of a volume that is redirected by request already it
    /// changes the reason's text. Not cancelled when its client goes away.
    ///
    /// - Parameters:
    ///   - reason: what the operator says to it, kept and shown; one line.
    ///   - progress: as for `addVolume`.
    func redirectVolume(
        _ name: String, reason: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Takes the operator's request for redirected mode back, and returns when every node that has
    /// no other reason is direct. Does nothing where there was none.
    ///
    /// - Parameter progress: as for `addVolume`.
    func resumeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws

    /// Makes another node the volume's coordinator, and returns when it is. Not cancelled when its
    /// client goes away.
    ///
    /// - Parameters:
    ///   - node: nil: a node with a path to the LUN and the fewest volumes.
    ///   - progress: as for `addVolume`.
    func moveVolume(
        _ name: String, to node: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary

    /// Changes what an operator may set.
    func setVolume(_ name: String, _ settings: VolumeSettings) async throws -> VolumeSummary

    /// Removes a lost node from the cluster's records: `ManagementError.conflict` while it is up,
    /// or while it may still write to a volume.
    func forgetNode(_ name: String) async throws

    /// What happened in the cluster, the oldest first.
    func events(_ request: EventRequest) async throws -> [ClusterEvent]

    /// Like `events`, and then every event that matches as it happens, until the caller stops
    /// iterating.
    func followEvents(
        _ request: EventRequest
    ) async throws -> AsyncThrowingStream<ClusterEvent, any Error>

    /// One row per volume and node, by volume, then node.
    func volumeStates() async throws -> [VolumeNodeState]

    /// One row per volume and node, by volume, then node, counted since each node's daemon started.
    func statistics() async throws -> [VolumeStatistics]

    /// One page of the sector map of a file below the daemon's root.
    ///
    /// Holes are rows too: the rows of all pages cover the file from its start to its end.
    func fileMap(_ request: FileMapRequest) async throws -> FileMapPage
}
