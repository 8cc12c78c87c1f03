import NIOCore
import NIOPosix

/// The options of every connection's socket, on both ends.
enum TransportChannel {
    static let readAllocator = AdaptiveRecvByteBufferAllocator(
        minimum: 4 << 10, initial: 64 << 10, maximum: TransportLimits.readMaximumBytes)
    static let writeBufferWaterMark = ChannelOptions.Types.WriteBufferWaterMark(
        low: TransportLimits.outputLowWaterBytes, high: TransportLimits.outputHighWaterBytes)
}
