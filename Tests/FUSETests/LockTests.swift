import FUSE
import Glibc
import Testing

@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct LockTests {
    private static let ofdGet: Int32 = 36
    private static let ofdSet: Int32 = 37
    private static let ofdSetWait: Int32 = 38

    /// fcntl(2): 0, errno, or for a test what is in the way.
    static func lock(
        _ descriptor: Int32, _ command: Int32, _ type: Int32, start: Int, length: Int
    ) -> Int32 {
        var lock = Glibc.flock()
        lock.l_type = Int16(type)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(start)
        lock.l_len = off_t(length)
        let result = fcntl(descriptor, command, &lock)
        if command == ofdGet && result == 0 { return Int32(lock.l_type) }
        return result == 0 ? 0 : errno
    }

    @Test(arguments: MountFixture.transports)
    func conflictsWaitsAndGrants(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        let (first, second) = try fixture.bounded { root in
            (open(root + "/l", O_RDWR | O_CREAT, 0o600), open(root + "/l", O_RDWR))
        }
        try fixture.bounded { _ in
            #expect(Self.lock(first, Self.ofdSet, F_WRLCK, start: 10, length: 5) == 0)
            #expect(Self.lock(second, Self.ofdSet, F_RDLCK, start: 14, length: 1) == EAGAIN)
            #expect(Self.lock(second, Self.ofdSet, F_RDLCK, start: 15, length: 1) == 0)
            #expect(
                Self.lock(second, Self.ofdGet, F_WRLCK, start: 0, length: 0) == Int32(F_WRLCK))
        }
        let waited = Outcome<Int32>()
        TestThread.start {
            waited.set(Self.lock(second, Self.ofdSetWait, F_WRLCK, start: 10, length: 5))
        }
        #expect(eventually { fixture.toy.state.withLock { $0.waitingLocks.count == 1 } })
        #expect(
            try fixture.bounded { _ in
                Self.lock(first, Self.ofdSet, F_UNLCK, start: 0, length: 0)
            } == 0)
        #expect(waited.wait() == 0)
        _ = try fixture.bounded { _ in (close(first), close(second)) }
    }

    /// A signal ends a waiting lock: the kernel sends INTERRUPT, the handler answers EINTR.
    @Test(arguments: MountFixture.transports, [1, 2, 4])
    func interruptEndsAWait(transport: FUSEMountOptions.Transport, workers: Int) throws {
        var options = FUSEMountOptions()
        options.workers = workers
        let fixture = try MountFixture(transport, options: options)
        defer { fixture.end() }
        signal(SIGUSR1, SIG_DFL)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR1, &action, nil)
        let (first, second) = try fixture.bounded { root in
            (open(root + "/l", O_RDWR | O_CREAT, 0o600), open(root + "/l", O_RDWR))
        }
        #expect(
            try fixture.bounded { _ in
                Self.lock(first, Self.ofdSet, F_WRLCK, start: 0, length: 0)
            } == 0)
        for _ in 0..<20 {
            let waited = Outcome<Int32>()
            let thread = TestThread.start {
                waited.set(Self.lock(second, Self.ofdSetWait, F_WRLCK, start: 0, length: 0))
            }
            #expect(eventually { fixture.toy.state.withLock { $0.waitingLocks.count == 1 } })
            #expect(pthread_kill(thread, SIGUSR1) == 0)
            #expect(waited.wait() == EINTR)
        }
        #expect(fixture.toy.count("interrupt") >= 20)
        _ = try fixture.bounded { _ in (close(first), close(second)) }
    }

    @Test(arguments: MountFixture.transports)
    func wholeFileLocks(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let first = open(root + "/l", O_RDWR | O_CREAT, 0o600)
            let second = open(root + "/l", O_RDWR)
            #expect(flock(first, LOCK_EX) == 0)
            #expect(flock(second, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
            #expect(flock(first, LOCK_UN) == 0)
            #expect(flock(second, LOCK_EX | LOCK_NB) == 0)
            close(first)
            close(second)
        }
    }
}
