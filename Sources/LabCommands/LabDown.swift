import ArgumentParser
import LabKit

/// `covol lab down`.
struct LabDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Take a lab down, whatever state it is in.",
        discussion: """
            Processes, mounts, loop devices, namespaces and an image in memory go. An image in \
            the lab's directory stays, and so do the logs.
            """)

    @OptionGroup var lab: LabArguments

    func run() async throws {
        if try await !Lab.down(directory: lab.directory) {
            Terminal.progress("\(lab.directory): no lab is there")
        }
    }
}
