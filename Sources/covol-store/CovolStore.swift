import ArgumentParser
import ClusterStore
import Dispatch
import Glibc
import Logging

@main
struct CovolStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "covol-store",
        abstract: "Hold the cluster store of this machine's nodes and serve it to them.",
        discussion: """
            The cluster store is what the nodes of a Covolume cluster agree on: a small \
            transactional key-value store with leases and watches. For the nodes of one machine \
            it is a SQLite database that this one process holds; covold connects to its socket. \
            Clusters of several machines will use etcd, which is not there yet.

            The database is made if it does not exist. Beside it appear FILE-wal, which belongs \
            to it, and FILE.lock, which keeps a second process away. A database that is damaged \
            is refused, never repaired: put back a copy, or move it and its -wal file away to \
            start with an empty store.

            When the program listens it prints "ready" and a newline on standard output; \
            everything else goes to standard error. SIGTERM or SIGINT ends it cleanly. It may \
            be killed at any moment: no acknowledged change is lost, and the nodes reconnect by \
            themselves. After a start each lease has its full time again.

            EXIT STATUS
              0   ended by SIGTERM or SIGINT
              1   the database or the socket cannot be used, or the disk failed
              64  the command line is wrong

            EXAMPLE
              covol-store --database /var/lib/covolume/store.sqlite \\
                  --socket /run/covolume/store.socket
            """)

    @Option(help: ArgumentHelp("The SQLite database.", valueName: "file"))
    var database: String

    @Option(
        help: ArgumentHelp(
            "The Unix socket to listen on, mode 0600; a dead server's is replaced.",
            valueName: "path"))
    var socket: String

    @Option(help: ArgumentHelp("Say nothing less severe than this.", valueName: "level"))
    var logLevel: Logger.Level = .info

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        let ends = Ends()
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "covol-store")
        logger.logLevel = logLevel

        var options = SQLiteStoreEngine.Options()
        options.logger = logger
        let engine = try SQLiteStoreEngine.open(path: database, options: options)
        engine.onFailure { [failures = ends.failures] in failures.yield($0) }
        let server: StoreServer
        do {
            server = try await StoreServer.start(
                engine: engine, socketPath: socket, logger: logger)
        } catch {
            await engine.close()
            throw error
        }
        logger.info(
            "listening", metadata: ["database": "\(database)", "socket": "\(socket)"])
        announce()

        let failure = await ends.first()
        await server.shutdown()
        await engine.close()
        if let failure { throw failure }
        logger.info("ended")
    }

    private func announce() {
        let line = Array("ready\n".utf8)
        // A parent that does not listen is no reason to stop.
        _ = line.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
