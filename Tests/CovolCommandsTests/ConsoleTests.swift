import Foundation
import Synchronization
import Testing

@testable import CovolCommands
@testable import Management

@Suite("covol vm console", .timeLimit(.minutes(1)))
struct ConsoleTests {
    /// A machine that echoes what is typed. "move" takes it to the next node, "halt" ends it.
    private final class Guest: Sendable {
        private struct State {
            var node = 1
            var isOn = true
            var session: String?
            var output = Data()
            var moving = 0
        }

        private let state = Mutex(State())

        func machine() -> String? {
            state.withLock { $0.isOn ? "node\($0.node)" : nil }
        }

        func turn(_ exchange: ConsoleExchange) async throws -> ConsoleAnswer {
            if exchange.waits { try await Task.sleep(for: .milliseconds(5)) }
            return try state.withLock { state in
                if exchange.isFirst {
                    if state.moving > 0 {
                        state.moving -= 1
                        throw ManagementError.conflict("it does not run there at the moment")
                    }
                    state.session = exchange.session
                }
                guard state.session == exchange.session else {
                    return ConsoleAnswer(node: "node\(state.node)", isOver: true)
                }
                switch String(decoding: exchange.input, as: UTF8.self) {
                case "move":
                    state.node += 1
                    state.moving = 3
                    state.session = nil
                case "halt":
                    state.isOn = false
                    state.session = nil
                default:
                    state.output += exchange.input
                }
                defer { if exchange.waits { state.output = Data() } }
                return ConsoleAnswer(
                    node: "node\(state.node)", output: exchange.waits ? state.output : Data(),
                    isOver: state.session == nil || exchange.isLast)
            }
        }
    }

    private final class Screen: Sendable {
        private let state = Mutex((shown: "", told: [String]()))
        var shown: String { state.withLock { $0.shown } }
        var told: [String] { state.withLock { $0.told } }
        func show(_ bytes: Data) {
            state.withLock { $0.shown += String(decoding: bytes, as: UTF8.self) }
        }
        func say(_ line: String) { state.withLock { $0.told.append(line) } }
    }

    private func session(
        _ body: (AsyncStream<Data?>.Continuation, Screen) async throws -> Void
    ) async throws -> Screen {
        let guest = Guest()
        let screen = Screen()
        let backend = FakeBackend(console: { try await guest.turn($0) }, node: { guest.machine() })
        let client = ConsoleClient(
            machine: "web", backend: backend, say: screen.say, show: screen.show)
        let (typed, keyboard) = AsyncStream.makeStream(of: Data?.self)
        let first = try await client.open()
        async let end: Void = client.run(first, typed: typed)
        try await body(keyboard, screen)
        try await end
        return screen
    }

    private func wait(_ screen: Screen, for text: String) async throws {
        while !(screen.shown + screen.told.joined()).contains(text) {
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test func followsTheMachineUntilItIsOff() async throws {
        let screen = try await session { keyboard, screen in
            keyboard.yield(Data("one".utf8))
            try await wait(screen, for: "one")
            keyboard.yield(Data("move".utf8))
            try await wait(screen, for: "on node2")
            keyboard.yield(Data("two".utf8))
            try await wait(screen, for: "two")
            keyboard.yield(Data("halt".utf8))
        }
        #expect(screen.shown == "onetwo")
        #expect(
            screen.told == [
                "the console of web on node1; Ctrl-] ends it",
                "the console of web on node2; Ctrl-] ends it", "web is off",
            ])
    }

    @Test func endsWhenTheOperatorSaysSo() async throws {
        let screen = try await session { keyboard, _ in keyboard.yield(nil) }
        #expect(screen.told.count == 1)
    }

    @Test func goesOnListeningWithNothingToType() async throws {
        let screen = try await session { keyboard, screen in
            keyboard.yield(Data("last".utf8))
            keyboard.yield(Data("halt".utf8))
            keyboard.finish()
        }
        #expect(screen.told.last == "web is off")
    }
}
