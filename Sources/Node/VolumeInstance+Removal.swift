import ClusterCore
import ClusterStore
import CoordinatorService
import Logging
import VolumeModel
import VolumeMount
import VolumeProtocol

extension VolumeInstance {
    private var coordinatesNow: Bool { host != nil }

    /// The cluster gives the volume up: each node its mount, the coordinator its own at the end.
    func remove() async throws {
        try await leave(lazy: false)
        guard let host else {
            try await detach()
            return
        }
        let rest = try await context.store.range(
            prefix: StoreKeys.attachments(id.description)
        ).entries.filter { $0.key != StoreKeys.attachment(id.description, context.node) }
        guard rest.isEmpty else { throw NodeError("other nodes still use the volume") }
        try await Blocking.run { [path] in
            try host.stop(removingMark: true)
            path.unregister()
        }
        forgetHost()
        let text = id.description
        _ = try await context.store.transaction(success: [
            .delete(StoreKeys.volume(text)), .delete(StoreKeys.name(record.name)),
            .delete(StoreKeys.owner(text)), .delete(StoreKeys.attachment(text, context.node)),
        ])
        context.events.note(
            .volumeRemoved, volume: record.name, outcome: "the LUN is free",
            "\(record.name) was removed from the cluster; its LUN mounts anywhere")
    }

    /// Gives up the mount and the session; the coordinator learns that nothing is held any more.
    private func leave(lazy: Bool) async throws {
        if let mount = mounted.mount {
            let path = mount.path
            do {
                try await Blocking.run { try mount.unmount(lazy: lazy) }
            } catch {
                throw NodeError("\(path) is in use: \(error)")
            }
            if await !mounted.waitForEnd(seconds: 10) {
                try mount.abort()
                _ = await mounted.waitForEnd(seconds: 5)
            }
            // What it could not prove before must not land after it has given everything back.
            if mount.accessState.waitingFor != nil, await !self.path.fencePath() {
                throw NodeError("writes of this node may still be on their way to the LUN")
            }
            mount.closePath()
            MountPoint.remove(path)
            mounted.clear()
        }
        if let host { host.coordinator.endSession(me) }
        await link.close()
        await context.membership.withdraw(StoreKeys.state(id.description, context.node))
    }

    /// Nothing of this node uses the LUN any more. A coordinator stays attached until it is unmounted.
    private func detach() async throws {
        guard member.isAttachedNow else { return }
        _ = try? await Blocking.run { [path] in path.unregister() }
        _ = try await context.store.delete(
            StoreKeys.attachment(id.description, context.node))
        send(.lostEverything)
    }

    /// The daemon ends: the mount goes, whoever uses it, and the coordinator hands its epoch back.
    func stop() async {
        isLeaving = true
        do {
            try await leave(lazy: true)
            var changes: [StoreOperation] = []
            if let host {
                await host.coordinator.drain(timeout: Self.drainTimeout)
                try await Blocking.run { try host.stop(removingMark: false) }
                if var owner = snapshot.owner?.value, owner.identity == me {
                    owner.phase = .released
                    changes.append(try .putJSON(StoreKeys.owner(id.description), owner))
                }
                forgetHost()
            }
            guard member.isAttachedNow else { return }
            _ = try? await Blocking.run { [path] in path.unregister() }
            changes.append(.delete(StoreKeys.attachment(id.description, context.node)))
            _ = try await context.store.transaction(success: changes)
        } catch {
            log.error("the volume was not given up cleanly", metadata: ["error": "\(error)"])
        }
    }
}
