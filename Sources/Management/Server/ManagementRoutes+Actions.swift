import Hummingbird

extension ManagementRoutes {
    /// Operations on what is there, and events.
    func addActions(to api: RouterGroup<Context>, _ volumes: RouterGroup<Context>) {
        volumes.patch(":name") { request, context in
            let name = try name(in: context)
            let settings = try await body(VolumeSettings.self, of: request)
            try settings.validate()
            return try Response.json(await backend.setVolume(name, settings))
        }
        volumes.post(":name/redirect") { request, context in
            let name = try name(in: context)
            let body = try await body(VolumeRedirectRequest.self, of: request)
            try body.validate()
            return ProgressAnswer.response { [backend] progress in
                try await backend.redirectVolume(name, reason: body.reason, progress: progress)
                return nil
            }
        }
        volumes.post(":name/resume") { _, context in
            let name = try name(in: context)
            return ProgressAnswer.response { [backend] progress in
                try await backend.resumeVolume(name, progress: progress)
                return nil
            }
        }
        volumes.post(":name/move") { request, context in
            let name = try name(in: context)
            let body = try await body(VolumeMoveRequest.self, of: request)
            if let node = body.to { try NodeName.validate(node) }
            return ProgressAnswer.response { [backend] progress in
                try await backend.moveVolume(name, to: body.to, progress: progress)
            }
        }
        api.delete("nodes/:name") { _, context in
            let name = try context.parameters.require("name")
            try NodeName.validate(name)
            try await backend.forgetNode(name)
            return try Response.json([String: String]())
        }
        api.get("events") { request, _ in
            try Response.json(await backend.events(Self.events(request)))
        }
        api.get("events/follow") { request, _ in
            EventAnswer.response(
                try await backend.followEvents(Self.events(request)), heartbeat: eventHeartbeat)
        }
    }

    private static func events(_ request: Request) throws -> EventRequest {
        var events = EventRequest()
        for (key, value) in request.uri.queryParameters {
            switch key {
            case "after":
                guard let number = UInt64(value) else {
                    throw ManagementError.invalidRequest("after must be a sequence number")
                }
                events.afterSequence = number
            case "limit":
                guard let number = Int(value) else {
                    throw ManagementError.invalidRequest("limit must be a number")
                }
                events.limit = number
            case "volume": events.volume = String(value)
            default: throw ManagementError.invalidRequest("\(key) is no parameter of events")
            }
        }
        try events.validate()
        return events
    }
}
