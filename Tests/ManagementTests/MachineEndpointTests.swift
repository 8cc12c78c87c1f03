import Foundation
import Management
import Synchronization
import Testing

@Suite("Machines, from client to backend and back")
struct MachineEndpointTests {
    @Test func listsAndLooksUp() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            let machines = try await client.machines()
            #expect(machines == [FakeBackend.machine("web")])
            let machine = try await client.machine(named: "web")
            #expect(machine == FakeBackend.machine("web"))
            let missing = await #expect(throws: ManagementError.self) {
                try await client.machine(named: "nope")
            }
            #expect(missing == .machineNotFound("nope"))
        }
    }

    @Test func ordersArriveAsTheyWereGiven() async throws {
        let backend = FakeBackend()
        let steps = Mutex<[String]>([])
        let orders: [MachineOrder] = [
            .start(node: nil), .start(node: "node1"), .stop(isForced: true), .reset, .pause,
            .resume, .save, .discard, .migrate(node: "node3", isQuick: true), .cancelMigration,
        ]
        try await withClient(of: backend) { client in
            for order in orders {
                try await client.order(order, machine: "web") { step in
                    steps.withLock { $0.append(step) }
                }
            }
        }
        #expect(backend.calls == orders.map { "web: \($0)" })
        #expect(steps.withLock { $0 } == orders.map { _ in "50 %" })
    }

    @Test func aConsolesBytesComeAsTheyWere() async throws {
        let backend = FakeBackend()
        let session = "4F0B7B0E-6C1A-4E7D-9C3B-0B2F2C1D5A10"
        let bytes = Data((0...255).map { UInt8($0) })
        try await withClient(of: backend) { client in
            let answer = try await client.console(
                ConsoleExchange(session: session, isFirst: true, input: bytes), machine: "web")
            #expect(answer == ConsoleAnswer(node: "node2", output: bytes, droppedBytes: 3))
            for wrong in [
                ConsoleExchange(session: "mine"),
                ConsoleExchange(session: session, input: Data(count: 16385)),
            ] {
                await #expect(throws: ManagementError.self) {
                    try await client.console(wrong, machine: "web")
                }
            }
        }
        #expect(backend.calls == ["console web true false false"])
    }

    @Test func nodesAreDrainedAndResumed() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            try await client.drainNode("node1") { _ in }
            try await client.resumeNode("node1", failback: true) { _ in }
        }
        #expect(backend.calls == ["drain node1", "resume node1 true"])
    }

    @Test func wrongValuesDoNotArrive() async throws {
        let backend = FakeBackend()
        await #expect(throws: ManagementError.self) {
            try await withClient(of: backend) { client in
                try await client.order(.start(node: "No Node"), machine: "web") { _ in }
            }
        }
        var urgent = MachineSettings()
        urgent.priority = "urgent"
        #expect(problem(urgent) == "the priority is high, medium or low, not urgent")
        var small = MachineSettings()
        small.memoryBytes = 1
        #expect(problem(small) == "a machine's memory is 16M to 64T")
        #expect(backend.calls.isEmpty)
    }

    private func problem(_ settings: MachineSettings) -> String? {
        do {
            try settings.validate()
            return nil
        } catch { return error.message }
    }
}
