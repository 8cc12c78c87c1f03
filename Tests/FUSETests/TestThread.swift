import CLinux
import Glibc
import Synchronization

#if arch(arm64)
    let openDirect: Int32 = 0o200000
#else
    /// `O_DIRECT`, which Glibc keeps behind `_GNU_SOURCE`.
    let openDirect: Int32 = 0o40000
#endif

/// Threads for calls that may block on a mount of the test's own.
enum TestThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    @discardableResult
    static func start(
        on processor: Int? = nil, _ run: @escaping @Sendable () -> Void
    ) -> pthread_t {
        let box = Unmanaged.passRetained(
            Body {
                let pinned = processor.map { covol_fuse_pin_thread(UInt32($0)) }
                precondition(pinned == nil || pinned == 0, "no such CPU")
                run()
            })
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                pthread_detach(pthread_self())
                // The threads of tests block signals, and this one would with them.
                var none = sigset_t()
                sigemptyset(&none)
                pthread_sigmask(SIG_SETMASK, &none, nil)
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        precondition(result == 0, "no thread")
        return thread
    }
}

/// What a thread of a test comes to, waited for with a bound.
final class Outcome<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func set(_ result: Value) { value.withLock { $0 = result } }

    /// Nil where it took longer.
    func wait(seconds: Double = 20) -> Value? {
        for _ in 0..<Int(seconds * 1000) {
            if let found = value.withLock({ $0 }) { return found }
            usleep(1000)
        }
        return nil
    }
}

/// Waits until `condition` holds; false where it took longer.
func eventually(seconds: Double = 20, _ condition: () -> Bool) -> Bool {
    for _ in 0..<Int(seconds * 1000) {
        if condition() { return true }
        usleep(1000)
    }
    return condition()
}
