import FUSE
import FilterCore

/// What belongs to one of a mount's workers: its direct I/O, by the position that the filter's lane of
/// the same number gave it, and its counters.
///
/// Sound to share: it is reached through the handler's state alone, with the lane's lock or with all
/// (`LanedLock`).
final class MountLane: @unchecked Sendable {
    var direct: [DirectIO] = []
    /// Direct reads and writes that the kernel has not ended, whether or not anybody still waits for
    /// them.
    var inFlight = 0
    private(set) var counts = MountCounts()

    func remember(_ position: Int, _ io: DirectIO) {
        while direct.count <= position { direct.append(DirectIO()) }
        direct[position] = io
        inFlight += 1
    }

    func count(directRead bytes: Int) {
        counts.directReads &+= 1
        counts.directReadBytes &+= UInt64(bytes)
    }

    /// A direct I/O that was answered.
    func count(_ io: DirectIO) {
        if io.operation == .read { return count(directRead: io.lengthBytes) }
        counts.directWrites &+= 1
        counts.directWriteBytes &+= UInt64(io.lengthBytes)
    }
}

extension FUSESlot {
    /// The lane that a slot's requests go in.
    func lane(of count: Int) -> Int { worker % count }
}
