import ArgumentParser
import Dispatch
import Glibc
import LUNSimulator
import Logging

@main
struct CovolLUN: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "covol-lun",
        abstract: "Simulate a LUN with several paths, for a lab.",
        discussion: """
            Shows the image as one regular file per path in the folder DIR: all the same LUN, with \
            nothing cached in between. Each path can fail, hang, be slow, be cut off, or hold a \
            write back and let it land late; and the LUN is a SCSI target with persistent \
            reservations. A loop device with direct I/O over a path's file is a block device.

            The control socket takes a line of JSON each way:
              {"command":"status"}
              {"command":"fault","path":"node1","kind":"hang"}
                  fail, hang, slow (with "milliseconds"), cut, late-write, release-late, restore
              {"command":"scsi","path":"node1","cdb":"5e000000000000ffff00"}
              {"command":"accesses","sinceSequence":0}

            When all paths are served it prints "ready" and a newline on standard output. SIGTERM \
            or SIGINT ends it: what is held fails, and the paths are unmounted.

            EXAMPLE
              covol-lun --image lun.img --mount lun --control lun.sock --paths node1,node2
            """)

    @Option(help: ArgumentHelp("The file that has the LUN's data.", valueName: "file"))
    var image: String

    @Option(help: ArgumentHelp("The folder to show the paths in.", valueName: "dir"))
    var mount: String

    @Option(help: ArgumentHelp("The Unix socket to listen on, mode 0600.", valueName: "path"))
    var control: String

    @Option(help: ArgumentHelp("The paths' names, with commas.", valueName: "names"))
    var paths: String

    @Option(help: ArgumentHelp("Append a line of JSON for each write.", valueName: "file"))
    var log: String?

    @Flag(help: "Refuse registrations that outlive a power loss (APTPL).")
    var withoutPersistence = false

    @Option(help: ArgumentHelp("Say nothing less severe than this.", valueName: "level"))
    var logLevel: Logger.Level = .info

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        let end = AsyncStream<Void>.makeStream()
        let signals = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { end.continuation.yield() }
            source.resume()
            return source
        }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "covol-lun")
        logger.logLevel = logLevel

        var configuration = LUNConfiguration(
            image: image, directory: mount,
            paths: paths.split(separator: ",", omittingEmptySubsequences: false).map(String.init),
            socket: control)
        configuration.log = log
        configuration.supportsPersistence = !withoutPersistence
        let lun = try SimulatedLUN.start(configuration, logger: logger)
        do {
            let writer = try AccessLogWriter.start(lun)
            // After the last write, so that nothing is missing.
            defer {
                lun.stop()
                writer?.stop()
            }
            let server = try ControlServer.start(lun)
            defer { server.stop() }
            announce()
            for await _ in end.stream { break }
            withExtendedLifetime(signals) {}
            logger.info("ending")
        } catch {
            lun.stop()
            throw error
        }
    }

    private func announce() {
        let line = Array("ready\n".utf8)
        // A parent that does not listen is no reason to stop.
        _ = line.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
