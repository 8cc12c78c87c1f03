import ArgumentParser
import LabKit

/// `covol lab sweep`.
struct LabSweep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Remove what crashed labs left on this machine.",
        discussion: """
            A lab that runs is left alone, unless the process that it belonged to (a test) has \
            ended, or --all is given.
            """)

    @Flag(help: "Take down labs that run as well.")
    var all = false

    func run() async throws {
        for line in try await LabKit.LabSweep(includesRunning: all).run() {
            print("removed \(line)")
        }
    }
}
