import Glibc
import Synchronization

/// The lock of one database, flock(2) on `FILE.lock`. It is released by `release()` or with the
/// last reference, and by the kernel when the process ends, however it ends. The file itself stays.
final class DatabaseLock: Sendable {
    private let descriptor: Mutex<Int32?>

    init(databasePath: String) throws(StoreError) {
        let path = databasePath + ".lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 {
            throw .damaged("cannot open the lock file \(path): \(String(cString: strerror(errno)))")
        }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK {
                throw .inUse(
                    "another process serves the database \(databasePath): "
                        + "it holds the lock on \(path)")
            }
            throw .damaged("cannot lock \(path): \(String(cString: strerror(code)))")
        }
        self.descriptor = Mutex(descriptor)
    }

    func release() {
        let held = descriptor.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
        guard let held else { return }
        // Explicitly: a child that was forked and has not yet come to its exec has the descriptor too.
        flock(held, LOCK_UN)
        close(held)
    }

    deinit {
        release()
    }
}
