import Management

extension FakeBackend {
    static func machine(_ name: String) -> MachineSummary {
        MachineSummary(
            name: name, state: "Running", node: "node2", volume: "Volume1",
            memoryBytes: 512 << 20, cpus: 2, priority: "high", preferredOwners: ["node2"], epoch: 7,
            path: "/clusterstorage/Volume1/\(name)")
    }

    func machines() async throws -> [MachineSummary] { [Self.machine("web")] }

    func machine(named name: String) async throws -> MachineSummary {
        guard name == "web" else { throw ManagementError.machineNotFound(name) }
        return Self.machine(name)
    }

    func createMachine(
        _ request: MachineCreateRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("making the disk")
        try note(
            "create \(request.name) \(request.volume) \(request.disk?.sizeBytes ?? 0) "
                + "\(request.image ?? "-") \(request.settings.memoryBytes ?? 0)")
    }

    func setMachine(_ name: String, _ settings: MachineSettings) async throws {
        try note("set \(name) \(settings.priority ?? "-") \(settings.preferredOwners ?? [])")
    }

    func order(
        _ order: MachineOrder, machine name: String,
        progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("50 %")
        try note("\(name): \(order)")
    }

    func console(
        _ exchange: ConsoleExchange, machine name: String
    ) async throws -> ConsoleAnswer {
        try note("console \(name) \(exchange.isFirst) \(exchange.waits) \(exchange.isLast)")
        return ConsoleAnswer(node: "node2", output: exchange.input, droppedBytes: 3)
    }

    func removeMachine(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try note("remove \(name)")
    }

    func drainNode(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("web: migrating to node3")
        try note("drain \(name)")
    }

    func resumeNode(
        _ name: String, failback: Bool, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try note("resume \(name) \(failback)")
    }
}
