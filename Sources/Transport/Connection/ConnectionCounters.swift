/// What one connection holds and has done. Each number of "now" has its limit in `TransportLimits`.
public struct ConnectionCounters: Sendable, Equatable {
    /// Own requests without an answer, now.
    public internal(set) var outstandingRequests = 0
    /// Bytes of these requests, now.
    public internal(set) var outstandingBytes = 0
    /// Own calls that wait for room, now.
    public internal(set) var waitingCalls = 0
    /// The peer's requests without an answer, now.
    public internal(set) var inboundRequests = 0
    /// Bytes of these requests, now.
    public internal(set) var inboundBytes = 0
    /// Of these, requests not started because the peer does not take our output, now.
    public internal(set) var deferredRequests = 0
    /// Of these, requests whose answers wait for the same, now.
    public internal(set) var waitingReplies = 0
    /// The most that `inboundBytes` has been.
    public internal(set) var inboundBytesPeak = 0
    public internal(set) var framesReceived: UInt64 = 0
    public internal(set) var framesSent: UInt64 = 0
    /// Of frames, TLS not counted.
    public internal(set) var bytesReceived: UInt64 = 0
    public internal(set) var bytesSent: UInt64 = 0
}
