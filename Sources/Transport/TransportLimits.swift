/// The named limits of the transport, and their relations.
///
/// The sizes and windows are part of the protocol: both sides hold each other to them, so a change
/// of one is a new `FrameHeader.version`.
public enum TransportLimits {
    /// The body of one message.
    public static let bodyMaximumBytes = 1 << 20
    /// The bulk payload of one message: 4 MiB of file data, and slack for unaligned ends.
    public static let payloadMaximumBytes = (4 << 20) + (64 << 10)
    /// The text of an error frame.
    public static let errorTextMaximumBytes = 1_024
    /// The body of a ping or pong.
    public static let pingMaximumBytes = 16

    /// Requests of one side on one connection that the other side has not answered yet. On the
    /// metadata lane they may wait for locks for hours; on the bulk lane each may have an answer of
    /// the largest size in memory.
    public static func outstandingRequestsMaximum(_ lane: Lane) -> Int {
        switch lane {
        case .metadata: 4_096
        case .bulk: 128
        }
    }
    /// Their bytes, frames' headers included. The receiver closes a connection that exceeds it, so
    /// unprocessed input is bounded without ever pausing reads: answers always get through, and
    /// two sides cannot block each other.
    public static let outstandingMaximumBytes = 32 << 20
    /// Calls of one connection that may wait for room in that window.
    public static let waitingCallsMaximum = 16_384

    /// Above this much unsent output, calls and answers wait and received requests are not started.
    public static let outputHighWaterBytes = 8 << 20
    /// Below this much unsent output, they go on.
    public static let outputLowWaterBytes = 2 << 20
    /// Output is flushed at the latest when this much has been written.
    static let flushBytes = 1 << 20
    /// Bodies and payloads up to this size are copied behind the frame's header, to save TLS
    /// records; larger ones are written as they are.
    static let coalesceMaximumBytes = 4 << 10
    /// A payload that arrives begins in memory at a multiple of this, as direct I/O wants.
    static let payloadAlignmentBytes = 4 << 10
    /// What one read from a socket takes in, at most.
    static let readMaximumBytes = 256 << 10

    /// Connections that one server serves at a time, unfinished handshakes included.
    public static let serverConnectionsMaximum = 1_024
    /// Connections that one client keeps for each lane.
    public static let connectionsPerLaneMaximum = 16
    /// TCP, TLS and the greeting together take no longer than this.
    public static let handshakeSeconds = 10

    static func assertRelations() {
        let frame = FrameHeader.encodedBytes + bodyMaximumBytes + payloadMaximumBytes
        precondition(frame <= outstandingMaximumBytes, "one largest frame fits into the window")
        precondition(outputLowWaterBytes < outputHighWaterBytes)
        precondition(flushBytes <= outputHighWaterBytes)
        precondition(errorTextMaximumBytes < bodyMaximumBytes)
        precondition(bodyMaximumBytes <= UInt32.max && payloadMaximumBytes <= UInt32.max)
    }
}
