import Foundation

extension ManagementClient {
    public func machines() async throws -> [MachineSummary] { try await get("machines") }

    public func machine(named name: String) async throws -> MachineSummary {
        try MachineName.validate(name)
        return try await get("machines/\(name)")
    }

    public func createMachine(
        _ request: MachineCreateRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try request.validate()
        try await perform("machines", ManagementCoding.encode(request), progress)
    }

    public func setMachine(_ name: String, _ settings: MachineSettings) async throws {
        try MachineName.validate(name)
        try settings.validate()
        let _: [String: String] = try await decode(
            await send(.PATCH, "machines/\(name)", body: ManagementCoding.encode(settings)))
    }

    public func order(
        _ order: MachineOrder, machine name: String,
        progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try MachineName.validate(name)
        try order.validate()
        try await perform(
            "machines/\(name)/order", ManagementCoding.encode(order), progress)
    }

    public func console(
        _ exchange: ConsoleExchange, machine name: String
    ) async throws -> ConsoleAnswer {
        try MachineName.validate(name)
        try exchange.validate()
        let body = try ManagementCoding.encode(exchange)
        return try await decode(await send(.POST, "machines/\(name)/console", body: body))
    }

    public func removeMachine(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try MachineName.validate(name)
        _ = try await result(
            of: send(.DELETE, "machines/\(name)", seconds: Self.longSeconds), progress: progress)
    }

    public func drainNode(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try NodeName.validate(name)
        try await perform("nodes/\(name)/drain", nil, progress)
    }

    public func resumeNode(
        _ name: String, failback: Bool, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try NodeName.validate(name)
        let body = try ManagementCoding.encode(NodeResumeRequest(failback: failback))
        try await perform("nodes/\(name)/resume", body, progress)
    }

    private func perform(
        _ endpoint: String, _ body: Data?, _ progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        _ = try await result(
            of: send(.POST, endpoint, body: body, seconds: Self.longSeconds), progress: progress)
    }
}
