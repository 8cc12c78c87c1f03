import Glibc
import Synchronization

#if arch(arm64)
    let openDirect: Int32 = 0o200000
#else
    /// `O_DIRECT`, which Glibc keeps behind `_GNU_SOURCE`.
    let openDirect: Int32 = 0o40000
#endif

/// Threads for calls that may block on a mount of the test's own: the mounts need the shared pool.
enum TestThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func start(_ run: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(run))
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
    }
}

/// What a thread of a test comes to, waited for with a bound.
final class Outcome<Value: Sendable>: Sendable {
    private let state = Mutex<(value: Value?, at: ContinuousClock.Instant?)>((nil, nil))

    /// `usesVolume`: the body opens or uses files of the volume.
    init(usesVolume: Bool = true, _ body: @escaping @Sendable () -> Value) {
        let run: @Sendable () -> Void = {
            let value = body()
            self.state.withLock { $0 = (value, .now) }
        }
        if usesVolume { VolumeUser.start(run) } else { TestThread.start(run) }
    }

    var value: Value? { state.withLock { $0.value } }
    var endedAt: ContinuousClock.Instant? { state.withLock { $0.at } }

    /// Nil where it takes longer.
    func wait(seconds: Double = 20) async -> Value? {
        _ = await eventually(seconds: seconds) { self.value != nil }
        return value
    }
}

/// Runs what uses a volume's files on threads with a table of descriptors of their own. A child that
/// another test starts would inherit those of the process, and close them on its exec: a FLUSH, which
/// the mount answers on the shared pool, where that test may be waiting for the child.
enum VolumeUser {
    private static let queue = Queue()

    private final class Queue: Sendable {
        let waiting = Mutex<[@Sendable () -> Void]>([])

        init() {
            TestThread.start {
                typealias CloseRange = @convention(c) (UInt32, UInt32, Int32) -> Int32
                // CLOSE_RANGE_UNSHARE: the new table has the standard ones only.
                let found = dlsym(nil, "close_range")
                let closeRange = unsafeBitCast(found, to: CloseRange?.self)
                precondition(closeRange?(3, .max, 2) == 0, "no table of its own")
                while true {
                    let next = self.waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                    // A thread shares the table of the one that starts it.
                    if let next { TestThread.start(next) } else { usleep(500) }
                }
            }
        }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        queue.waiting.withLock { $0.append(body) }
    }
}

/// Waits until `condition` holds; false where it takes longer.
func eventually(
    seconds: Double = 20, _ condition: @Sendable () -> Bool
) async -> Bool {
    let end = ContinuousClock.now + .milliseconds(Int(seconds * 1000))
    while ContinuousClock.now < end {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}
