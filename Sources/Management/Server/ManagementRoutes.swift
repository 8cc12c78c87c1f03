import Foundation
import Hummingbird

/// Which request calls which method of the backend. The handlers decode, validate and encode; what
/// is done is the backend's.
///
/// | request | answer |
/// |---|---|
/// | `GET /v1/cluster` | `ClusterSummary` |
/// | `GET /v1/nodes` | array of `NodeSummary` |
/// | `GET /v1/volumes` | array of `VolumeSummary` |
/// | `POST /v1/volumes` with `VolumeAddRequest` | stream of `ProgressEvent` |
/// | `GET /v1/volumes/{name}` | `VolumeSummary` |
/// | `DELETE /v1/volumes/{name}` | stream of `ProgressEvent` |
/// | `POST /v1/volumes/{name}/rename` with `VolumeRenameRequest` | `VolumeSummary` |
/// | `PATCH /v1/volumes/{name}` with `VolumeSettings` | `VolumeSummary` |
/// | `POST /v1/volumes/{name}/redirect` with `VolumeRedirectRequest` | stream of `ProgressEvent` |
/// | `POST /v1/volumes/{name}/resume` | stream of `ProgressEvent` |
/// | `POST /v1/volumes/{name}/move` with `VolumeMoveRequest` | stream of `ProgressEvent` |
/// | `DELETE /v1/nodes/{name}` | `{}` |
/// | `POST /v1/nodes/{name}/drain`, `…/resume` with `{"failback":…}` | stream of `ProgressEvent` |
/// | `GET /v1/machines` | array of `MachineSummary` |
/// | `GET /v1/machines/{name}` | `MachineSummary` |
/// | `POST /v1/machines` with `MachineCreateRequest` | stream of `ProgressEvent` |
/// | `PATCH /v1/machines/{name}` with `MachineSettings` | `{}` |
/// | `POST /v1/machines/{name}/order` with `MachineOrder` | stream of `ProgressEvent` |
/// | `DELETE /v1/machines/{name}` | stream of `ProgressEvent` |
/// | `GET /v1/events?after=&limit=&volume=` | array of `ClusterEvent` |
/// | `GET /v1/events/follow?after=&limit=&volume=` | stream of `EventLine` |
/// | `GET /v1/states` | array of `VolumeNodeState` |
/// | `GET /v1/stats` | array of `VolumeStatistics` |
/// | `POST /v1/file-map` with `FileMapRequest` | `FileMapPage` |
struct ManagementRoutes: Sendable {
    typealias Context = BasicRequestContext

    let backend: any ManagementBackend
    let eventHeartbeat: Duration

    func router() -> Router<Context> {
        let router = Router(context: Context.self)
        router.add(middleware: ErrorMiddleware())
        let api = router.group("v1")
        api.get("cluster") { _, _ in try Response.json(await backend.cluster()) }
        api.get("nodes") { _, _ in try Response.json(await backend.nodes()) }
        api.get("states") { _, _ in try Response.json(await backend.volumeStates()) }
        api.get("stats") { _, _ in try Response.json(await backend.statistics()) }
        api.post("file-map") { request, _ in try await fileMap(request) }
        let volumes = api.group("volumes")
        volumes.get { _, _ in try Response.json(await backend.volumes()) }
        volumes.post { request, _ in try await addVolume(request) }
        volumes.get(":name") { _, context in
            try Response.json(await backend.volume(named: name(in: context)))
        }
        volumes.delete(":name") { _, context in try removeVolume(name(in: context)) }
        volumes.post(":name/rename") { request, context in
            try await renameVolume(name(in: context), request)
        }
        addActions(to: api, volumes)
        addMachines(to: api)
        return router
    }

    private func addVolume(_ request: Request) async throws -> Response {
        let body = try await body(VolumeAddRequest.self, of: request)
        try Self.checkPath(body.device, what: "the device")
        if let name = body.name { try VolumeName.validate(name) }
        return ProgressAnswer.response { [backend] progress in
            try await backend.addVolume(body, progress: progress)
        }
    }

    private func removeVolume(_ name: String) -> Response {
        ProgressAnswer.response { [backend] progress in
            try await backend.removeVolume(name, progress: progress)
            return nil
        }
    }

    private func renameVolume(_ name: String, _ request: Request) async throws -> Response {
        let body = try await body(VolumeRenameRequest.self, of: request)
        try VolumeName.validate(body.name)
        return try Response.json(await backend.renameVolume(name, to: body.name))
    }

    private func fileMap(_ request: Request) async throws -> Response {
        let body = try await body(FileMapRequest.self, of: request)
        try Self.checkPath(body.path, what: "the file")
        guard (1...ManagementLimits.fileMapPageMaximumExtents).contains(body.maximumExtents) else {
            throw ManagementError.invalidRequest(
                "maximumExtents must be 1 to \(ManagementLimits.fileMapPageMaximumExtents)")
        }
        return try Response.json(await backend.fileMap(body))
    }

    func name(in context: Context) throws -> String {
        let name = try context.parameters.require("name")
        try VolumeName.validate(name)
        return name
    }

    func body<Value: Decodable>(
        _ type: Value.Type, of request: Request
    ) async throws -> Value {
        let bytes = try await request.body.collect(
            upTo: ManagementLimits.requestBodyMaximumBytes)
        do {
            return try ManagementCoding.decode(type, from: Data(bytes.readableBytesView))
        } catch let error as ManagementError {
            throw error
        } catch {
            throw ManagementError.invalidRequest(
                "the request's body is wrong: \(ManagementCoding.problem(of: error))")
        }
    }

    private static func checkPath(_ path: String, what: String) throws(ManagementError) {
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            throw .invalidRequest("\(what) must be named by an absolute path")
        }
        guard path.utf8.count <= ManagementLimits.pathMaximumBytes else {
            throw .invalidRequest("\(what)'s path is too long")
        }
    }
}
