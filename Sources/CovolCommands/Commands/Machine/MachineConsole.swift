import ArgumentParser
import Foundation
import Management

/// `covol vm console NAME`
struct MachineConsole: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "console",
        abstract: "Use a running virtual machine's serial console.",
        discussion: """
            From any node. It follows the machine when that moves, and ends with Ctrl-] or when the \
            machine is turned off. One at a time can use a console. With nothing more to read on \
            standard input it still shows what the guest writes.

            Example:
              covol vm console web
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateMachineName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let terminal = ConsoleTerminal()
        let client = ConsoleClient(
            machine: name, backend: backend, say: { terminal.say($0, output) },
            show: terminal.show)
        // The machine's state is told before the terminal changes.
        let first = try await client.open()
        terminal.makeRaw()
        defer { terminal.restore() }
        try await client.run(first, typed: terminal.typed())
    }
}

/// A client of a console: goes on with another session where a machine has moved, or a daemon has been
/// restarted.
struct ConsoleClient: Sendable {
    /// How long a machine may take to come back.
    private static let patience = Duration.seconds(60)

    let machine: String
    let backend: any ManagementBackend
    /// Takes a line for the operator.
    let say: @Sendable (String) -> Void
    /// Takes what the guest wrote.
    let show: @Sendable (Data) -> Void

    /// Begins a session. Throws where the machine does not run, or its console is in use.
    func open() async throws -> String {
        let session = UUID().uuidString
        let answer = try await backend.console(
            ConsoleExchange(session: session, isFirst: true), machine: machine)
        say("the console of \(machine) on \(answer.node); Ctrl-] ends it")
        return session
    }

    /// Returns when `typed` yields nil, the operator's word for the end, or the machine is off.
    func run(_ first: String, typed: AsyncStream<Data?>) async throws {
        let session = CurrentSession(first)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await listen(session) }
            group.addTask {
                for await bytes in typed {
                    guard let bytes else { return }
                    await type(bytes, session)
                }
                // Without more to say it still listens.
                while true { try await Task.sleep(for: .seconds(3600)) }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        // It would end by itself, after a while.
        _ = try? await backend.console(
            ConsoleExchange(session: await session.id, isLast: true), machine: machine)
    }

    private func type(_ bytes: Data, _ session: CurrentSession) async {
        var rest = bytes
        while !rest.isEmpty {
            let part = rest.prefix(ConsoleExchange.inputMaximumBytes)
            rest = rest.dropFirst(part.count)
            let turn = ConsoleExchange(session: await session.id, input: Data(part))
            // What was typed while the machine moves is lost; its answer tells nothing else.
            _ = try? await backend.console(turn, machine: machine)
        }
    }

    private func listen(_ session: CurrentSession) async throws {
        while true {
            do {
                let turn = ConsoleExchange(session: await session.id, waits: true)
                let answer = try await backend.console(turn, machine: machine)
                if answer.droppedBytes > 0 {
                    say("\(answer.droppedBytes) bytes were written too fast to be shown")
                }
                show(answer.output)
                if !answer.isOver { continue }
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // The machine moves, or a daemon is restarted: seen below.
            }
            guard let next = try await openAgain() else {
                say("\(machine) is off")
                return
            }
            await session.change(to: next)
        }
    }

    /// Nil: the machine is off.
    private func openAgain() async throws -> String? {
        let start = ContinuousClock.now
        while true {
            do {
                if try await backend.machine(named: machine).node == nil { return nil }
                return try await open()
            } catch {
                try Task.checkCancellation()
                guard start.duration(to: .now) < Self.patience else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private actor CurrentSession {
        private(set) var id: String
        init(_ id: String) { self.id = id }
        func change(to id: String) { self.id = id }
    }
}

/// The process's terminal, or whatever its standard streams are.
private final class ConsoleTerminal: Sendable {
    private static let escape: UInt8 = 0x1d
    private let saved: termios?

    init() {
        var found = termios()
        saved = tcgetattr(0, &found) == 0 ? found : nil
    }

    func makeRaw() {
        guard var raw = saved else { return }
        cfmakeraw(&raw)
        tcsetattr(0, TCSANOW, &raw)
    }

    func restore() {
        guard var saved else { return }
        tcsetattr(0, TCSANOW, &saved)
    }

    /// A raw terminal does not return to a line's begin by itself.
    func say(_ line: String, _ output: CommandOutput) {
        output.error(saved == nil ? line : "\r\(line)\r")
    }

    func show(_ bytes: Data) { try? FileHandle.standardOutput.write(contentsOf: bytes) }

    /// What is read from standard input, and nil at Ctrl-].
    func typed() -> AsyncStream<Data?> {
        let (stream, continuation) = AsyncStream.makeStream(of: Data?.self)
        // Reads block: not on a thread that tasks need.
        Thread.detachNewThread {
            var bytes = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(0, &bytes, bytes.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                let typed = bytes[..<count].prefix { $0 != Self.escape }
                if !typed.isEmpty { continuation.yield(Data(typed)) }
                if typed.count < count { continuation.yield(nil) }
            }
            continuation.finish()
        }
        return stream
    }
}
