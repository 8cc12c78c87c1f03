import Glibc

/// A value that many threads look at, each in a lane of its own, and that is changed by one at a time.
///
/// Who only looks at the value takes its lane's lock, which nobody else wants: no cache line goes from
/// one processor to another, and nobody waits. Who changes it takes those of all lanes, in order. What
/// belongs to one lane alone may be changed with that lane's lock.
///
/// Sound to share: the value is reached by these two functions alone. `withLane` gives it as borrowed,
/// and `withLock` runs while no `withLane` does.
///
/// Inlinable: a call by way of generic code would cost more than the lock.
public struct LanedLock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    /// Two cache lines, as processors fetch them in pairs.
    @usableFromInline static var strideBytes: Int { 128 }

    public let lanes: Int
    @usableFromInline let mutexes: UnsafeMutableRawPointer
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming sending Value, lanes: Int) {
        precondition(lanes > 0, "a lock without lanes")
        self.lanes = lanes
        mutexes = .allocate(byteCount: lanes * Self.strideBytes, alignment: Self.strideBytes)
        for lane in 0..<lanes {
            let mutex = (mutexes + lane * Self.strideBytes)
                .bindMemory(to: pthread_mutex_t.self, capacity: 1)
            mutex.initialize(to: pthread_mutex_t())
            let status = pthread_mutex_init(mutex, nil)
            precondition(status == 0, "pthread_mutex_init: errno \(status)")
        }
        value = .allocate(capacity: 1)
        value.initialize(to: initial)
    }

    deinit {
        for lane in 0..<lanes { pthread_mutex_destroy(mutex(lane)) }
        mutexes.deallocate()
        value.deinitialize(count: 1)
        value.deallocate()
    }

    @inlinable borrowing func mutex(_ lane: Int) -> UnsafeMutablePointer<pthread_mutex_t> {
        (mutexes + lane * Self.strideBytes).assumingMemoryBound(to: pthread_mutex_t.self)
    }

    /// Runs `body` while no other thread is here; it must not come back here.
    @inlinable public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        for lane in 0..<lanes {
            let status = pthread_mutex_lock(mutex(lane))
            precondition(status == 0, "pthread_mutex_lock: errno \(status)")
        }
        defer { for lane in 0..<lanes { pthread_mutex_unlock(mutex(lane)) } }
        return try body(&value.pointee)
    }

    /// Runs `body` while nobody changes the value, and nobody else is in this lane. It must not come
    /// back here, and may change what is the lane's alone.
    @inlinable public borrowing func withLane<Result: ~Copyable, Failure: Error>(
        _ lane: Int, _ body: (borrowing Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        let mutex = mutex(lane)
        let status = pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock: errno \(status)")
        defer { pthread_mutex_unlock(mutex) }
        return try body(value.pointee)
    }
}
