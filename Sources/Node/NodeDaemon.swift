import ClusterAuthority
import ClusterStore
import Foundation
import Glibc
import Logging
import Management
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Transport
import VolumeModel
import VolumeProtocol

/// The daemon of a node: wires the services together and runs them until it is told to end.
public struct NodeDaemon: Sendable {
    private let configuration: NodeConfiguration
    private let log: Logger

    public init(configuration: NodeConfiguration, log: Logger) {
        self.configuration = configuration
        self.log = log
    }

    /// Returns after an orderly end; throws where the daemon cannot start.
    ///
    /// Order of the end: no more orders, then the volumes are given up, then the peers, the
    /// membership and the store.
    public func run() async throws {
        raiseLimits()
        try makeDirectories()
        let credentials = try CertificateDirectory(path: configuration.certificates)
            .loadNode(configuration.node)
        let store = StoreClient(socketPath: configuration.store)
        let services = try await wire(store: store, credentials: credentials)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    ServiceGroupConfiguration.ServiceConfiguration(service: $0)
                },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
        do {
            try await group.run()
        } catch {
            await store.shutdown()
            throw error
        }
        await store.shutdown()
    }

    private func wire(
        store: StoreClient, credentials: NodeCredentials
    ) async throws -> [any Service] {
        let keeper = MountKeeper(
            configuration: configuration, cluster: credentials.clusterID, log: log)
        let resumption = await Resumption.find(
            keeper, cluster: credentials.clusterID, configuration, store: store, log: log)
        let incarnation =
            resumption?.incarnation ?? Incarnation(UInt64.random(in: 1...UInt64.max))
        keeper.use(incarnation)
        let transport = try TransportCredentials(credentials)
        let eventLoops = MultiThreadedEventLoopGroup.singleton
        let router = MessageRouter(log: log)
        let server = try await TransportServer.bind(
            to: try configuration.listen.map { try TransportAddress($0) }, credentials: transport,
            group: eventLoops, handlers: router.handlers, logger: log)
        let membership = Membership(
            node: configuration.node, incarnation: incarnation,
            addresses: server.addresses.map(\.description), store: store,
            watchdog: try configuration.watchdog?.start(), log: log)
        let peers = Peers(
            store: store, credentials: transport, group: eventLoops, handlers: router.handlers,
            log: log)
        let context = NodeContext(
            node: configuration.node, incarnation: incarnation, clusterID: credentials.clusterID,
            clusterName: credentials.clusterName, configuration: configuration, store: store,
            membership: membership, log: log, connections: { server.connections(of: $0) },
            peers: { peers },
            events: EventLog(node: configuration.node, store: store, log: log),
            records: RecordReader(store: store), keeper: keeper, resumption: resumption)
        let manager = VolumeManager(context: context)
        let machines = MachineManager(context: context, volumes: manager)
        router.use(manager, machines)
        let backend = NodeBackend(
            context: context, manager: manager, machineManager: machines,
            storePath: configuration.store)
        return [
            ClosingService(
                membership: membership, heartbeats: Heartbeats(context: context), peers: peers,
                server: server),
            VolumeService(manager: manager),
            MachineService(manager: machines),
            ManagementServer(socketPath: configuration.socket, backend: backend, logger: log),
        ]
    }

    private func makeDirectories() throws {
        try FileManager.default.createDirectory(
            atPath: configuration.root, withIntermediateDirectories: true)
    }

    /// A file descriptor for each file in use, and nothing of the daemon swapped out: what serves I/O
    /// must not wait for I/O.
    private func raiseLimits() {
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        let lockOnFault: Int32 = 4  // MCL_ONFAULT of linux/mman.h: what is touched stays
        if mlockall(MCL_CURRENT | MCL_FUTURE | lockOnFault) != 0 {
            log.warning(
                "memory is not locked: under memory pressure I/O may wait for swapping",
                metadata: ["error": "\(String(cString: strerror(errno)))"])
        }
    }
}

/// The membership, the connections to peers, and their end.
struct ClosingService: Service {
    let membership: Membership
    let heartbeats: Heartbeats
    let peers: Peers
    let server: TransportServer

    func run() async {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await membership.run() }
                group.addTask { await heartbeats.run() }
            }
        }
        await peers.close()
        await server.close()
    }
}

/// The machines: followed until the end, then left to other nodes, before their volumes go.
struct MachineService: Service {
    let manager: MachineManager

    func run() async {
        await cancelWhenGracefulShutdown { await manager.run() }
        await manager.stop()
    }
}

/// The volumes: followed until the end, then given up.
struct VolumeService: Service {
    let manager: VolumeManager

    func run() async {
        await cancelWhenGracefulShutdown { await manager.run() }
        await manager.stop()
    }
}
