/// A value for each of a node's workers: its *lane*. Unlike an array of objects, it is reached without
/// counting a reference, and without a check of who else is there.
///
/// Sound to share, and sound to change through a copy, by a rule that whoever holds it keeps: a lane is
/// one thread's at a time, and who looks at several has kept all others out. The daemon keeps it by
/// `LanedLock`; without threads, as in the simulation, it holds by itself.
@safe public struct Lanes<Lane: Sendable>: @unchecked Sendable {
    /// Frees the memory with the last copy.
    @safe private final class Owner {
        let base: UnsafeMutablePointer<Lane>
        let count: Int

        init(_ base: UnsafeMutablePointer<Lane>, _ count: Int) {
            unsafe self.base = unsafe base
            self.count = count
        }

        deinit {
            unsafe base.deinitialize(count: count)
            unsafe base.deallocate()
        }
    }

    private let owner: Owner
    @usableFromInline let base: UnsafeMutablePointer<Lane>
    public let count: Int

    public init(count: Int, of lane: Lane) {
        precondition(count > 0, "no lanes")
        let base = UnsafeMutablePointer<Lane>.allocate(capacity: count)
        unsafe base.initialize(repeating: lane, count: count)
        unsafe self.base = unsafe base
        unsafe owner = Owner(base, count)
        self.count = count
    }

    public var indices: Range<Int> { 0..<count }

    @inlinable public subscript(lane: Int) -> Lane {
        _read {
            precondition(lane >= 0 && lane < count, "no such lane")
            yield unsafe base[lane]
        }
        nonmutating _modify {
            precondition(lane >= 0 && lane < count, "no such lane")
            yield unsafe &base[lane]
        }
    }
}
