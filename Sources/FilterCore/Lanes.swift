/// A value for each of a node's workers: its *lane*. Unlike an array of objects, it is reached without
/// counting a reference, and without a check of who else is there; and no two share a cache line.
///
/// Sound to share, and sound to change through a copy, by a rule that whoever holds it keeps: a lane is
/// one thread's at a time, and who looks at several has kept all others out. The daemon keeps it by
/// `LanedLock`; without threads, as in the simulation, it holds by itself. Safe to use otherwise: every
/// access is checked against `count`, and the memory stays as long as a copy does.
@safe public struct Lanes<Lane: Sendable>: @unchecked Sendable {
    /// Frees the memory with the last copy.
    @safe private final class Owner {
        let memory: UnsafeMutableRawPointer
        let count: Int

        init(_ memory: UnsafeMutableRawPointer, _ count: Int) {
            unsafe self.memory = unsafe memory
            self.count = count
        }

        deinit {
            for lane in 0..<count {
                unsafe Lanes.place(lane, in: memory).deinitialize(count: 1)
            }
            unsafe memory.deallocate()
        }
    }

    /// Two cache lines, as processors fetch them in pairs.
    @usableFromInline static var alignmentBytes: Int { 128 }

    private let owner: Owner
    @usableFromInline let memory: UnsafeMutableRawPointer
    public let count: Int

    public init(count: Int, of lane: Lane) {
        precondition(count > 0, "no lanes")
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * Self.strideBytes, alignment: Self.alignmentBytes)
        for number in 0..<count {
            unsafe (memory + number * Self.strideBytes).initializeMemory(
                as: Lane.self, repeating: lane, count: 1)
        }
        unsafe self.memory = unsafe memory
        unsafe owner = Owner(memory, count)
        self.count = count
    }

    public var indices: Range<Int> { 0..<count }

    @inlinable static var strideBytes: Int {
        (MemoryLayout<Lane>.stride + alignmentBytes - 1) & ~(alignmentBytes - 1)
    }

    @inlinable static func place(
        _ lane: Int, in memory: UnsafeMutableRawPointer
    ) -> UnsafeMutablePointer<Lane> {
        unsafe (memory + lane * strideBytes).assumingMemoryBound(to: Lane.self)
    }

    @inlinable public subscript(lane: Int) -> Lane {
        _read {
            precondition(lane >= 0 && lane < count, "no such lane")
            yield unsafe Self.place(lane, in: memory).pointee
        }
        nonmutating _modify {
            precondition(lane >= 0 && lane < count, "no such lane")
            yield unsafe &Self.place(lane, in: memory).pointee
        }
    }
}
