import ArgumentParser
import SimulationKit

@main
struct CovolSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "covol-sim",
        abstract: "Runs the daemon's state machines in a simulated cluster.",
        subcommands: [Run.self, Controls.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs seeds with all rules; fails at the first violation.")

        @Option(help: "How many seeds to run.") var seeds = 100
        @Option(help: "The first seed.") var start: UInt64 = 1
        @Flag(help: "Runs the first seed alone and prints what happens in it.") var trace = false

        func run() async throws {
            if trace {
                let result = SimulationRunner.run(seed: start, isTracing: true)
                for line in result.trace { print(line) }
                if result.violation != nil { throw ExitCode.failure }
                return
            }
            var count = 0
            let report = await SimulationRunner.run(seeds: seeds, from: start) { result in
                count += 1
                if let failure = result.failure { print(failure) }
                if count % 1000 == 0 { print("\(count) seeds") }
            }
            print(report)
            if !report.failures.isEmpty { throw ExitCode.failure }
        }
    }

    struct Controls: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Breaks each rule in turn; fails where a break goes unnoticed.")

        @Option(help: "The most seeds for each rule.") var seeds = 3000
        @Option(help: "The first seed.") var start: UInt64 = 1
        @Option(help: "One rule alone.") var rule: String?
        @Flag(help: "Prints what happens in the seed that shows the break.") var trace = false

        func run() async throws {
            var hasMissed = false
            for (name, broken) in SimulationRunner.controls where rule == nil || rule == name {
                let result = await SimulationRunner.control(
                    broken, seedsMaximum: seeds, from: start)
                print(result.describe(name))
                if result.violation == nil { hasMissed = true }
                if trace, let seed = result.seed {
                    for line in SimulationRunner.run(
                        seed: seed, without: broken, isTracing: true
                    ).trace {
                        print(line)
                    }
                }
            }
            if hasMissed { throw ExitCode.failure }
        }
    }
}
