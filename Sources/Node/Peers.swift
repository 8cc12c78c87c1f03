import ClusterStore
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Transport

/// This node's connections to the daemons of other nodes, opened when they are first needed.
actor Peers {
    private let store: any ClusterStore
    private let credentials: TransportCredentials
    private let group: any EventLoopGroup
    private let log: Logger
    private let handlers: TransportHandlers
    private var clients: [String: (client: PeerClient, addresses: [String])] = [:]

    init(
        store: any ClusterStore, credentials: TransportCredentials, group: any EventLoopGroup,
        handlers: TransportHandlers, log: Logger
    ) {
        self.store = store
        self.credentials = credentials
        self.group = group
        self.handlers = handlers
        self.log = log
    }

    /// Bulk data on as many connections as event loops can work on at once.
    private static let configuration = PeerClientConfiguration(
        connectionsPerLane: [.metadata: 1, .bulk: max(1, min(4, System.coreCount))])

    /// A connected client for a node; throws where the node is not up or not reached in time.
    func client(for node: String, timeout: Duration = .seconds(5)) async throws -> PeerClient {
        guard let record = try await store.getJSON(StoreKeys.node(node), as: NodeRecord.self)?.value
        else { throw NodeError("node \(node) is not up") }
        let client: PeerClient
        if let known = clients[node], known.addresses == record.addresses {
            client = known.client
        } else {
            if let old = clients.removeValue(forKey: node) { await old.client.close() }
            client = PeerClient(
                node: node, addresses: try record.addresses.map { try TransportAddress($0) },
                credentials: credentials, configuration: Self.configuration, group: group,
                handlers: handlers, logger: log)
            clients[node] = (client, record.addresses)
            client.start()
        }
        try await client.waitUntilConnected(timeout: timeout)
        return client
    }

    func close() async {
        for (client, _) in clients.values { await client.close() }
        clients = [:]
    }
}
