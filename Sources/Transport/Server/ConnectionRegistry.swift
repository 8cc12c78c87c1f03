import NIOCore
import Synchronization

/// The channels and connections of one server.
final class ConnectionRegistry: Sendable {
    private struct State {
        var isShutDown = false
        var channels: [ObjectIdentifier: any Channel] = [:]
        var connections: [ConnectionID: PeerConnection] = [:]
    }

    private let state = Mutex(State())

    var connections: [PeerConnection] {
        state.withLock { Array($0.connections.values) }
    }

    /// Counts a new channel in, until it closes.
    ///
    /// - Returns: false when there are too many, or the server closes.
    func admit(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let isAdmitted = state.withLock { state in
            guard !state.isShutDown,
                state.channels.count < TransportLimits.serverConnectionsMaximum
            else { return false }
            state.channels[key] = channel
            return true
        }
        if isAdmitted {
            channel.closeFuture.whenComplete { _ in
                self.state.withLock { $0.channels[key] = nil }
            }
        }
        return isAdmitted
    }

    /// The same handlers, which also keep `connections` up to date.
    func observing(_ handlers: TransportHandlers) -> TransportHandlers {
        var observing = handlers
        observing.connected = { connection in
            self.state.withLock { $0.connections[connection.id] = connection }
            handlers.connected(connection)
        }
        observing.disconnected = { connection, reason in
            self.state.withLock { $0.connections[connection.id] = nil }
            handlers.disconnected(connection, reason)
        }
        return observing
    }

    /// Admits no more.
    ///
    /// - Returns: the channels to close.
    func shutDown() -> [any Channel] {
        state.withLock { state in
            state.isShutDown = true
            return Array(state.channels.values)
        }
    }
}
