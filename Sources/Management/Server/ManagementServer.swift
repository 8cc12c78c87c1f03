import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// Serves a `ManagementBackend` as HTTP/1.1 and JSON on a Unix socket that only its owner can open.
///
/// It runs until its service group shuts down, lets running requests end, and takes its socket away.
public struct ManagementServer: Service {
    private let socketPath: String
    private let backend: any ManagementBackend
    private let logger: Logger
    private let eventHeartbeat: Duration
    private let onListening: @Sendable () async -> Void

    /// - Parameters:
    ///   - socketPath: where clients find the socket; its directory is made if it is missing.
    ///   - eventHeartbeat: how often those who follow events are told that the daemon is there, and
    ///     so the longest that one who has gone away goes unnoticed.
    ///   - onListening: called once clients can connect.
    public init(
        socketPath: String, backend: any ManagementBackend, logger: Logger,
        eventHeartbeat: Duration = .seconds(ManagementLimits.eventHeartbeatSeconds),
        onListening: @escaping @Sendable () async -> Void = {}
    ) {
        self.socketPath = socketPath
        self.backend = backend
        self.logger = logger
        self.eventHeartbeat = eventHeartbeat
        self.onListening = onListening
    }

    /// - Throws: `ManagementSocketError` where the socket cannot be had: another daemon serves it, a
    ///   file that is no socket is in its place, the directory cannot be written.
    public func run() async throws {
        let socket = try await ManagementSocket.prepare(path: socketPath)
        let publication = Mutex<Result<ManagementSocket.Identity, ManagementSocketError>?>(nil)
        defer { socket.remove(try? publication.withLock { $0 }?.get()) }
        let configuration = ApplicationConfiguration(
            address: .unixDomainSocket(path: socket.stagingPath), serverName: "covold",
            availableConnectionsDelegate: MaximumAvailableConnections(
                ManagementLimits.connectionsMaximum))
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let application = Application(
            router: ManagementRoutes(backend: backend, eventHeartbeat: eventHeartbeat).router(),
            server: .http1(
                configuration: .init(
                    idleTimeout: .seconds(ManagementLimits.connectionIdleSeconds))),
            configuration: configuration,
            onServerRunning: { channel in
                let result = Result { () throws(ManagementSocketError) in try socket.publish() }
                publication.withLock { $0 = result }
                guard case .success = result else {
                    try? await channel.close()
                    return
                }
                logger.info("management socket is open", metadata: ["path": "\(socketPath)"])
                await onListening()
            },
            logger: quiet)
        do {
            try await application.run()
        } catch {
            // Closing the server makes its group fail as well; the cause is what the caller needs.
            _ = try publication.withLock { $0 }?.get()
            throw error
        }
        _ = try publication.withLock { $0 }?.get()
    }
}
