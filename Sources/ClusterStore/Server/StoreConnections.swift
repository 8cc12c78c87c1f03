import NIOCore
import Synchronization

/// The open connections of a server.
final class StoreConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// False when there are too many, or the server is shutting down.
    func add(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let isAdded = state.withLock { state in
            if state.hasEnded || state.channels.count >= StoreLimits.connections { return false }
            state.channels[key] = channel
            return true
        }
        if isAdded {
            channel.closeFuture.whenComplete { _ in
                self.state.withLock { _ = $0.channels.removeValue(forKey: key) }
            }
        }
        return isAdded
    }

    /// Takes no more; returns those that are open.
    func end() -> [any Channel] {
        state.withLock { state in
            state.hasEnded = true
            return Array(state.channels.values)
        }
    }
}
