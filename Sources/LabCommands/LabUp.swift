import ArgumentParser
import Dispatch
import Foundation
import LabKit

/// `covol lab up`.
struct LabUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Make a cluster with one volume, and return when every node serves it.")

    @OptionGroup var lab: LabArguments

    @Option(help: "How many nodes.")
    var nodes = 3

    @Option(help: "The LUN's size, such as 512M or 2G. The image is sparse.")
    var size = LUNSize(bytes: 2 << 30)

    @Option(help: "The volume's file system.")
    var filesystem = LabFileSystem.xfs

    @Flag(help: "Keep the LUN in memory (/dev/shm) instead of in the lab's directory.")
    var memory = false

    @Flag(help: "Give each node a path of its own to a simulated LUN, for `covol lab fault`.")
    var simulatedLun = false

    @Flag(help: "Overwrite the LUN that an earlier lab left in the directory.")
    var replace = false

    @Option(help: "The daemons' log level.")
    var logLevel = "info"

    func validate() throws {
        do {
            try options.validate()
        } catch {
            throw ValidationError(error.message)
        }
    }

    func run() async throws {
        let directory = lab.directory
        let options = options
        let task = Task {
            try await Lab.up(
                directory: directory, options: options, owner: nil,
                certificates: Lab.defaultCertificates, progress: Terminal.progress)
        }
        // Ctrl-C takes down what is there already.
        let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { task.cancel() }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        do {
            let lab = try await task.value
            for node in lab.nodes { print("\(node.name)\t\(node.volumePath)") }
        } catch is CancellationError {
            Terminal.progress("interrupted")
            throw ExitCode(130)
        }
    }

    private var options: LabOptions {
        LabOptions(
            nodes: nodes, sizeBytes: size.bytes, fileSystem: filesystem, memory: memory,
            logLevel: logLevel, replacesImage: replace, simulatedLUN: simulatedLun)
    }
}

extension LabFileSystem: ExpressibleByArgument {}

/// A size on the command line.
struct LUNSize: ExpressibleByArgument, CustomStringConvertible {
    var bytes: Int64

    init(bytes: Int64) { self.bytes = bytes }

    init?(argument: String) {
        guard let bytes = ByteSize.parse(argument) else { return nil }
        self.bytes = bytes
    }

    var description: String { bytes % (1 << 30) == 0 ? "\(bytes >> 30)G" : "\(bytes >> 20)M" }
    var defaultValueDescription: String { description }
}
