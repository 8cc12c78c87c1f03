/// What `covol lab status` shows.
public struct LabStatus: Codable, Sendable, Equatable {
    public struct Node: Codable, Sendable, Equatable {
        public var name: String
        public var pid: Int32?
        public var isAlive: Bool
        /// Stopped by a signal: it lives, and answers nothing.
        public var isStopped: Bool
        /// The faults in force, as `covol lab fault` names them.
        public var faults: [String]
        public var clusterAddress: String
        public var clientAddress: String
        public var socket: String
        /// Whether the lab's volume is mounted where the node shows it.
        public var isMounted: Bool
        /// The states of this node's volumes; empty when it does not answer.
        public var volumes: [VolumeStateRow]
        /// Why there are no states.
        public var problem: String?
    }

    public var directory: String
    public var cluster: String
    public var volume: String
    public var fileSystem: LabFileSystem
    /// The LUN's image.
    public var lun: String
    public var sizeBytes: Int64
    public var storePID: Int32?
    public var isStoreAlive: Bool
    /// The LUN simulator's process, where the lab has one.
    public var simulatorPID: Int32?
    public var isSimulatorAlive: Bool
    public var nodes: [Node]
}

extension Lab {
    /// What runs now. Nodes that do not answer are part of it, not an error.
    public func status() async throws(LabError) -> LabStatus {
        let record = currentRecord
        var rows: [LabStatus.Node] = []
        let faults = await LabFaults(of: self)
        for node in nodes {
            rows.append(try await status(of: node, faults))
        }
        return LabStatus(
            directory: plan.directory, cluster: plan.clusterName, volume: plan.options.volumeName,
            fileSystem: plan.options.fileSystem, lun: plan.imagePath,
            sizeBytes: plan.options.sizeBytes, storePID: record.store?.pid,
            isStoreAlive: record.store?.isAlive ?? false, simulatorPID: record.simulator?.pid,
            isSimulatorAlive: record.simulator?.isAlive ?? false, nodes: rows)
    }

    private func status(
        of node: LabNode, _ faults: LabFaults
    ) async throws(LabError) -> LabStatus.Node {
        var row = LabStatus.Node(
            name: node.name, pid: node.daemon?.pid, isAlive: node.isAlive,
            isStopped: node.daemon?.isStopped ?? false, faults: faults.of(node),
            clusterAddress: node.plan.clusterAddress, clientAddress: node.plan.clientAddress,
            socket: node.plan.socket, isMounted: try node.isVolumeMounted(), volumes: [],
            problem: nil)
        guard row.isAlive else {
            row.problem = "the daemon does not run; its log is \(node.plan.log)"
            return row
        }
        guard !row.isStopped else {
            row.problem = "the daemon is stopped: `daemon continue` lets it go on"
            return row
        }
        do throws(LabError) {
            row.volumes = try await node.volumeStates().filter { $0.node == node.name }
        } catch {
            row.problem = error.message
        }
        return row
    }
}
