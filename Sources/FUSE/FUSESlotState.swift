/// A slot's state. The worker's thread owns it, but for the time between a handler's `received` and
/// its answer, when who answers does.
struct FUSESlotState {
    /// The header page; the buffer follows.
    var memory: UnsafeMutableRawPointer
    var segments: UnsafeMutablePointer<FUSESegmentState>
    /// Room for one, until a request needs more; then for the most there can be, and kept.
    var segmentCapacity = 1
    var segmentCount = 0
    var outstanding = 0
    var unique: UInt64 = 0
    var tag: UInt64 = 0
    var isHeld = false
    /// The ring entry whose request this is of, or -1.
    var entry: Int32 = -1
    /// Of a ring entry's request: what it holds the slot for, and what the kernel calls it.
    var use = Use.none
    var commitID: UInt64 = 0
    var nodeID: UInt64 = 0
    /// Its request was answered, or goes on in another slot; the LUN I/O still uses the buffer.
    var isAbandoned = false

    enum Use: UInt8 {
        case none
        /// A ``FUSESlot`` of the handler's.
        case data
        /// A request that may wait for ever.
        case waiting
        case lockWaiting
    }
}
