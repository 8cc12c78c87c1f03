import FUSE
import FilterCore

/// What belongs to one of a mount's workers: its direct I/O, by the position that the filter's lane of
/// the same number gave it, and its counters. It is reached with the lane's lock or with all (`LanedLock`).
struct MountLane: Sendable {
    var direct: [DirectIO] = []
    /// Direct reads and writes that the kernel has not ended, whether or not anybody still waits for
    /// them.
    var inFlight = 0
    private(set) var counts = MountCounts()

    mutating func remember(_ position: Int, _ io: DirectIO) {
        while direct.count <= position { direct.append(DirectIO()) }
        direct[position] = io
        inFlight += 1
    }

    /// Nobody but its worker looks after it.
    func isUncalled(_ position: Int) -> Bool {
        !direct[position].isCalled && !direct[position].awaitsProof
    }

    /// Takes a direct I/O out that is answered now.
    mutating func takeAnswered(_ position: Int) -> DirectIO {
        let io = direct[position]
        direct[position].request = .none
        inFlight -= 1
        count(io)
        return io
    }

    mutating func count(directRead bytes: Int) {
        counts.directReads &+= 1
        counts.directReadBytes &+= UInt64(bytes)
    }

    /// A direct I/O that was answered.
    mutating func count(_ io: DirectIO) {
        if io.operation == .read { return count(directRead: io.lengthBytes) }
        counts.directWrites &+= 1
        counts.directWriteBytes &+= UInt64(io.lengthBytes)
    }
}

extension FUSESlot {
    /// The lane that a slot's requests go in.
    func lane(of count: Int) -> Int { worker % count }
}
