import VolumeMount

/// What a mount asks of its volume about this node's path: the path itself knows its key, the volume
/// what else of this node's may be on its way.
final class InstancePathGuard: PathGuard {
    private let path: PathKeeper
    private weak let instance: VolumeInstance?

    init(_ instance: VolumeInstance) {
        path = instance.path
        self.instance = instance
    }

    func fencePath() async -> Bool { await path.fencePath() }

    func restorePath() async -> Bool {
        await path.restorePath(mayRegister: instance?.mayRegister ?? false)
    }
}
