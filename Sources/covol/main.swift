import ArgumentParser
import CovolCommands
import LabCommands

/// `covol`: the cluster's commands, and the lab's, which only an executable may import.
struct Covol: AsyncParsableCommand {
    static let configuration = CovolCommand.rootConfiguration(adding: [LabCommand.self])
}

await CommandRunner.main(Covol.self)
