import Glibc

/// A value that one thread at a time works on.
///
/// Used as `Synchronization.Mutex`, where many threads come for the same value. That one's futexes
/// inherit priorities (`FUTEX_LOCK_PI`, futex(2)): an unlock hands the lock to the thread that has
/// waited longest, so that once one waits all do, with a switch of threads each. pthread_mutex_lock(3)
/// leaves the lock to whoever runs.
///
/// Sound to share: the value is reached by `withLock` alone, under the mutex, and enters and leaves as
/// `sending`; both have one address for as long as this lives.
public struct Lock<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ initial: consuming sending Value) {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        let status = pthread_mutex_init(mutex, nil)
        precondition(status == 0, "pthread_mutex_init: errno \(status)")
        value = .allocate(capacity: 1)
        value.initialize(to: initial)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        value.deinitialize(count: 1)
        value.deallocate()
    }

    /// Runs `body` while no other thread does; it must not come back here.
    @inlinable public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        let status = pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock: errno \(status)")
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value.pointee)
    }
}
