/// What the daemon does for its operators: the one interface below the HTTP API.
///
/// The daemon implements it, `ManagementServer` serves it, and `ManagementClient` implements it
/// again at the other end of the socket, so that a command is written once against this protocol.
///
/// Every method may be called from any task, several at once. Names have been validated
/// (`VolumeName.validate`) before the server calls; operating errors are `ManagementError`, anything
/// else that is thrown is answered as `internal` with its description.
public protocol ManagementBackend: Sendable {
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
    /// The server does not cancel it when its client goes away: a half-made file system serves nobody.
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

    /// One row per volume and node, by volume, then node.
    func volumeStates() async throws -> [VolumeNodeState]

    /// One row per volume and node, by volume, then node, counted since each node's daemon started.
    func statistics() async throws -> [VolumeStatistics]

    /// One page of the sector map of a file below the daemon's root.
    ///
    /// Holes are rows too: the rows of all pages cover the file from its start to its end.
    func fileMap(_ request: FileMapRequest) async throws -> FileMapPage
}
