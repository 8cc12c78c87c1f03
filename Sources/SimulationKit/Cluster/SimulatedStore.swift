import ClusterCore
import VolumeModel

/// The cluster store: the records of one volume, changed in transactions, and members' leases, which
/// end by the store's own clock.
final class SimulatedStore {
    struct Attachment {
        var incarnation: Incarnation
        var hasPath: Bool
        /// The key under which the path is registered.
        var key: UInt64
    }

    unowned let simulation: Simulation
    var owner: VolumeRecords.Owner?
    var attachments: [String: Attachment] = [:]
    private(set) var leases: [String: (incarnation: Incarnation, endNanoseconds: UInt64)] = [:]

    init(simulation: Simulation) { self.simulation = simulation }

    /// Goes up with everything that is asked of the store: what was read later is newer.
    private(set) var revision: UInt64 = 0

    /// Runs a transaction for a node. The answer may be lost after it was done; it brings the records
    /// along, as they are after it.
    func transact<Result>(
        from node: SimulatedHost, _ body: @escaping (SimulatedStore) -> Result,
        answer: @escaping (Result) -> Void
    ) {
        let life = node.life
        let network = simulation.network
        network?.send(from: node.index, to: SimulatedNetwork.store) { [unowned self] in
            let result = body(self)
            revision += 1
            let (records, revision) = (records, revision)
            network?.send(from: SimulatedNetwork.store, to: node.index) {
                node.run(life) {
                    node.take(records, revision: revision)
                    answer(result)
                }
            }
        }
    }

    /// Grants or renews a membership, from now on by this clock.
    func renew(_ node: String, _ incarnation: Incarnation, leaseNanoseconds: UInt64) -> Bool {
        if let lease = leases[node], lease.incarnation != incarnation,
            lease.endNanoseconds > simulation.now
        {
            return false
        }
        leases[node] = (incarnation, simulation.now + leaseNanoseconds)
        return true
    }

    func isMember(_ node: String) -> Bool {
        leases[node].map { $0.endNanoseconds > simulation.now } ?? false
    }

    /// When this life's lease ended, or will end, by the store.
    func leaseEnd(_ node: NodeIdentity) -> UInt64 {
        guard let lease = leases[node.name], lease.incarnation == node.incarnation else { return 0 }
        return lease.endNanoseconds
    }

    var records: VolumeRecords {
        var members: [String: Incarnation] = [:]
        for (name, lease) in leases where lease.endNanoseconds > simulation.now {
            members[name] = lease.incarnation
        }
        return VolumeRecords(
            owner: owner,
            attachments: attachments.mapValues {
                VolumeRecords.Attachment(incarnation: $0.incarnation, hasPath: $0.hasPath)
            },
            members: members)
    }
}
