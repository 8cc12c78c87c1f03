import Management
import Transport

/// A turn at the console of a machine that runs on the node asked.
struct ConsoleRequest: Codable, Sendable {
    var machine: String
    var exchange: ConsoleExchange
}

/// The answer, or why there is none.
struct ConsoleReply: Codable, Sendable {
    var answer: ConsoleAnswer?
    var problem: String?
}

extension NodeBackend {
    func console(_ exchange: ConsoleExchange, machine name: String) async throws -> ConsoleAnswer {
        guard let owner = try await machineRecord(name).owner else {
            throw ManagementError.conflict("\(name) is off; covol vm start \(name) starts it")
        }
        let request = ConsoleRequest(machine: name, exchange: exchange)
        let reply: ConsoleReply
        if owner == context.node {
            reply = await machineManager.console(request, from: owner)
        } else {
            let client = try await context.peers().client(for: owner)
            reply = try await client.call(
                TransportMessage(.console, json: request),
                timeout: .seconds(ConsoleExchange.waitSeconds + 15)
            ).decodedJSON(as: ConsoleReply.self)
        }
        guard let answer = reply.answer else {
            throw ManagementError.conflict(
                "the console of \(name) on \(owner) cannot be used: "
                    + (reply.problem ?? "no reason is told"))
        }
        return answer
    }
}

extension MachineManager {
    /// - Parameter node: where the client is.
    func console(_ request: ConsoleRequest, from node: String) async -> ConsoleReply {
        let (name, exchange) = (request.machine, request.exchange)
        let isCopyHere = copies[name] != nil
        if exchange.isFirst {
            guard let process = copies[name] else {
                return ConsoleReply(problem: "it does not run there at the moment")
            }
            if let problem = await consoles.open(
                exchange.session, of: name, socket: process.directory.console, from: node)
            {
                return ConsoleReply(problem: problem)
            }
        }
        var answer = await consoles.take(exchange, of: name, node: context.node)
        if !isCopyHere { answer.isOver = true }
        return ConsoleReply(answer: answer)
    }
}
