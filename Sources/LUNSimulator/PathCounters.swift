/// What came through one path since the simulator's start.
public struct PathCounters: Hashable, Sendable, Codable {
    public var reads: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writes: UInt64 = 0
    public var writtenBytes: UInt64 = 0
    public var discards: UInt64 = 0
    public var flushes: UInt64 = 0
    /// Failed by a fault, an end, or the image.
    public var failed: UInt64 = 0
    /// Refused by the reservation.
    public var conflicts: UInt64 = 0

    mutating func count<Client>(_ kind: LUNModel<Client>.Kind, _ bytes: UInt64) {
        switch kind {
        case .read:
            reads += 1
            readBytes += bytes
        case .write, .durableWrite:
            writes += 1
            writtenBytes += bytes
        case .discard: discards += 1
        case .flush: flushes += 1
        }
    }
}
