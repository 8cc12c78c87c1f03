import ArgumentParser
import Management

/// `covol events`
struct EventsCommand: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Tell what happened in the cluster.",
        discussion: """
            Every change of a state or of a coordinator, every loss of a node or a path, and every \
            fence with its outcome, the oldest first. The cluster store keeps them, a bounded \
            number; the oldest go first. SEVERITY is info, warning (it goes on, slower or with less \
            redundancy) or error (something does not work until someone acts). Times are UTC.

            --json prints an array; with --follow one object in a line for each event, as it \
            happens. Every object has sequence, time, kind, severity, volume, node, cause, outcome, \
            durationSeconds and text; what does not apply is null.

            Example:
              covol events --follow --volume images
              covol events --json --limit 1000 | jq '.[] | select(.kind == "fence-failed")'
            """)

    @Flag(help: "Go on and print every event as it happens, until interrupted.")
    var follow = false

    @Option(
        help: ArgumentHelp(
            "Print the newest N (default: 100; with --follow 10), at most "
                + "\(ManagementLimits.eventsMaximum).",
            valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Only events of this volume.", valueName: "name"))
    var volume: String?

    @Option(
        help: ArgumentHelp(
            "Only events after the one of this sequence number: what came since.",
            valueName: "sequence"))
    var after: UInt64?

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    private var request: EventRequest {
        // Who says where to go on must not miss what is between.
        let defaultLimit = after != nil ? ManagementLimits.eventsMaximum : follow ? 10 : 100
        return EventRequest(
            afterSequence: after ?? 0, limit: limit ?? defaultLimit, volume: volume)
    }

    func validate() throws {
        try asUsage(request.validate)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        guard follow else { return try output.list(await backend.events(request), format) }
        var table = RunningTable(columns: ClusterEvent.tableColumns)
        for try await event in try await backend.followEvents(request) {
            output.write(format.json ? try CommandOutput.line(event) : table.text(event.tableRow))
        }
    }
}
