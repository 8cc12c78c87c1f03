import NIOCore
import Synchronization

/// Ends an attempt to connect whose client closes: neither TCP nor TLS is waited for.
final class ConnectAttempt: Sendable {
    private struct State {
        var isCancelled = false
        /// More than one when a name has several addresses.
        var channels: [any Channel] = []
    }

    private let state = Mutex(State())

    func began(_ channel: any Channel) throws(TransportError) {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.channels.append(channel) }
            return state.isCancelled
        }
        if isCancelled { throw TransportError(.closed, "the client was closed") }
    }

    func cancel() {
        let channels = state.withLock { state in
            state.isCancelled = true
            defer { state.channels = [] }
            return state.channels
        }
        for channel in channels { channel.close(promise: nil) }
    }
}
