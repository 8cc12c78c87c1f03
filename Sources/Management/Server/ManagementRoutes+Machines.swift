import Hummingbird

extension ManagementRoutes {
    /// Virtual machines, and what a node's maintenance does with them.
    func addMachines(to api: RouterGroup<Context>) {
        let machines = api.group("machines")
        machines.get { _, _ in try Response.json(await backend.machines()) }
        machines.get(":name") { _, context in
            try Response.json(await backend.machine(named: Self.machine(in: context)))
        }
        machines.post { request, _ in
            let body = try await body(MachineCreateRequest.self, of: request)
            try body.validate()
            return Self.progress { [backend] progress in
                try await backend.createMachine(body, progress: progress)
            }
        }
        machines.patch(":name") { request, context in
            let name = try Self.machine(in: context)
            let settings = try await body(MachineSettings.self, of: request)
            try settings.validate()
            try await backend.setMachine(name, settings)
            return try Response.json([String: String]())
        }
        machines.post(":name/order") { request, context in
            let name = try Self.machine(in: context)
            let order = try await body(MachineOrder.self, of: request)
            try order.validate()
            return Self.progress { [backend] progress in
                try await backend.order(order, machine: name, progress: progress)
            }
        }
        machines.post(":name/console") { request, context in
            let name = try Self.machine(in: context)
            let exchange = try await body(ConsoleExchange.self, of: request)
            try exchange.validate()
            return try Response.json(await backend.console(exchange, machine: name))
        }
        machines.delete(":name") { _, context in
            let name = try Self.machine(in: context)
            return Self.progress { [backend] progress in
                try await backend.removeMachine(name, progress: progress)
            }
        }
        api.post("nodes/:name/drain") { _, context in
            let name = try Self.node(in: context)
            return Self.progress { [backend] progress in
                try await backend.drainNode(name, progress: progress)
            }
        }
        api.post("nodes/:name/resume") { request, context in
            let name = try Self.node(in: context)
            let body = try await body(NodeResumeRequest.self, of: request)
            return Self.progress { [backend] progress in
                try await backend.resumeNode(name, failback: body.failback, progress: progress)
            }
        }
    }

    private static func progress(
        _ work: @escaping @Sendable (@escaping ProgressAnswer.Progress) async throws -> Void
    ) -> Response {
        ProgressAnswer.response { progress in
            try await work(progress)
            return nil
        }
    }

    private static func machine(in context: Context) throws -> String {
        let name = try context.parameters.require("name")
        try MachineName.validate(name)
        return name
    }

    private static func node(in context: Context) throws -> String {
        let name = try context.parameters.require("name")
        try NodeName.validate(name)
        return name
    }
}
