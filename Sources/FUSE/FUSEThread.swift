import CLinux
import Glibc
import Synchronization
import VolumeModel

/// A detached thread of the system's, for loops that block in the kernel.
enum FUSEThread {
    /// `name`: at most 15 bytes are kept.
    static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ErrorCode) {
        let box = Unmanaged.passRetained(
            Body {
                covol_fuse_prepare_thread(name)
                body()
            })
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard result == 0 else {
            box.release()
            throw ErrorCode(result)
        }
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// A value that one thread sets once and another waits for.
///
/// Sound to share: the semaphore orders the one write before the one read.
final class FUSEHandOver<Value: Sendable>: @unchecked Sendable {
    private var value: Value?
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func set(_ value: Value) {
        self.value = value
        sem_post(semaphore)
    }

    func wait() -> Value {
        while sem_wait(semaphore) != 0 {}
        return value!
    }
}
