import ArgumentParser
import Foundation
import Logging
import Node

/// `covold`: the daemon of a node.
@main
struct Covold: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "covold",
        abstract: "Serves the cluster's shared volumes on this node.",
        discussion: """
            The daemon joins the cluster that its configuration names, shows every volume of the \
            cluster below the configured root, coordinates the volumes that the cluster gives it, \
            and takes orders from covol(8) over a Unix socket. It needs root.

            It ends in order on SIGTERM and SIGINT: volumes are unmounted and their coordinators \
            hand over. On SIGHUP it ends at once and leaves everything to the next daemon, perhaps \
            of a newer version: files that are open stay open, virtual machines run on, and their \
            I/O waits until that one is there, for a minute at most.

            The configuration is one JSON file:

              {"node": "node1", "listen": ["10.0.0.1:7400"],
               "store": "/run/covolume/store.sock", "certificates": "/etc/covolume/pki"}

            See docs/operations.md for every key.
            """)

    /// Not a success: a service manager starts the next daemon.
    private static let leftToTheNext: Int32 = 75

    @Option(help: "The node's configuration.")
    var config = "/etc/covolume/covold.json"

    func run() async throws {
        // A program that ends before it has read what it was given is an error of one order, not ours.
        signal(SIGPIPE, SIG_IGN)
        let configuration: NodeConfiguration
        do {
            configuration = try NodeConfiguration.load(config)
        } catch {
            FileHandle.standardError.write(Data("covold: \(error)\n".utf8))
            throw ExitCode(78)
        }
        guard let level = Logger.Level(rawValue: configuration.logLevel) else {
            FileHandle.standardError.write(
                Data("covold: \(config): \"\(configuration.logLevel)\" is no log level\n".utf8))
            throw ExitCode(78)
        }
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let log = Logger(label: "covold")
        let leave = DispatchSource.makeSignalSource(signal: SIGHUP)
        signal(SIGHUP, SIG_IGN)
        leave.setEventHandler {
            log.notice("the daemon leaves what it serves to the next one")
            // As suddenly as a crash: the next daemon knows one case only.
            _exit(Self.leftToTheNext)
        }
        leave.resume()
        do {
            try await NodeDaemon(configuration: configuration, log: log).run()
        } catch {
            log.critical("the daemon ends", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }
}
