import ArgumentParser

/// `covol file …`
struct FileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "file", abstract: "See where files lie.", subcommands: [FileMap.self])
}
