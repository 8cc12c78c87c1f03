import Glibc
import Synchronization

/// A counting semaphore, sem_overview(7).
final class Semaphore: Sendable {
    // The pointer is set once and freed at the end; sem_post and sem_wait may be called from any thread.
    private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

    init(_ value: UInt32 = 0) {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, value)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }

    /// False where nobody signalled before the deadline.
    func wait(until deadline: ServiceDeadline) -> Bool {
        var time = deadline.time
        while sem_timedwait(semaphore, &time) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }
}

/// A moment from now on, on sem_timedwait(3)'s clock; threads that hang in the kernel are not waited
/// for beyond it.
struct ServiceDeadline {
    let time: timespec

    init(seconds: Double) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let total = Double(now.tv_nsec) / 1e9 + max(0, min(seconds, 1e9))
        let whole = total.rounded(.down)
        time = timespec(
            tv_sec: now.tv_sec + Int(whole), tv_nsec: Int((total - whole) * 1e9))
    }
}

/// Threads of their own for work that blocks: Swift's concurrency must never wait for a disk.
enum ServiceThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a detached thread; `name` has at most 15 bytes, see proc_pid_comm(5).
    static func start(_ name: String, _ run: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let body = Unmanaged.passRetained(
            Body {
                Self.setName(name)
                run()
            })
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        precondition(status == 0, "no thread could be started: errno \(status)")
        pthread_detach(thread)
    }

    private static func setName(_ name: String) {
        let comm = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard comm >= 0 else { return }
        _ = write(comm, name, name.utf8.count)
        close(comm)
    }
}
