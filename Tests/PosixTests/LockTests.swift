import Glibc
import Testing

extension PosixTests {
    /// Locks between processes: on one node, and between two nodes of a volume.
    @Suite struct LockTests {
        static let read = Int32(F_RDLCK)
        static let write = Int32(F_WRLCK)
        static let none = Int32(F_UNLCK)

        /// Runs a check with a second process here, then with one on the other node.
        static func withBoth(
            _ c: PosixContext, _ body: (_ a: Caller, _ b: Caller, _ isRemote: Bool) -> Void
        ) {
            for isRemote in [false, true] {
                let (a, b) = (c.another(), c.another(onOtherNode: isRemote))
                body(a, b, isRemote)
                a.end()
                b.end()
                c.root.unlink("f").ok()
            }
        }

        @Test(arguments: Place.all) func recordLocks(_ place: Place) async throws {
            try await place.check { c in
                Self.withBoth(c) { a, b, isRemote in
                    let f = a.opened("f", O_CREAT | O_RDWR)
                    let g = b.opened("f")
                    a.lock(f, F_SETLK, Self.read, start: 0, length: 100).ok()
                    b.lock(g, F_SETLK, Self.read, start: 50, length: 100).ok("readers share")
                    b.lock(g, F_SETLK, Self.write, start: 90, length: 5).fails(EAGAIN, EACCES)
                    b.lock(g, F_SETLK, Self.write, start: 200, length: 5).ok("elsewhere")
                    a.lock(f, F_SETLK, Self.read, start: 203, length: 1).fails(EAGAIN, EACCES)
                    a.lock(f, F_SETLK, Self.read, start: 0, length: 0).fails(EAGAIN, EACCES)
                    b.lock(g, F_SETLK, Self.none).ok()
                    // Splitting: the middle goes, both ends stay.
                    a.lock(f, F_SETLK, Self.write, start: 0, length: 100).ok("upgrade")
                    a.lock(f, F_SETLK, Self.none, start: 40, length: 20).ok()
                    b.lock(g, F_SETLK, Self.write, start: 40, length: 20).ok()
                    b.lock(g, F_SETLK, Self.write, start: 39, length: 1).fails(EAGAIN, EACCES)
                    b.lock(g, F_SETLK, Self.write, start: 60, length: 1).fails(EAGAIN, EACCES)
                    let test = b.lock(g, F_GETLK, Self.write, start: 10, length: 100)
                    test.ok()
                    let found = RecordLock(test.data)
                    c.equal(found.kind, Int16(Self.write), "F_GETLK's type")
                    c.equal(found.start, 0, "F_GETLK's start")
                    c.equal(found.length, 40, "F_GETLK's length")
                    if !isRemote { c.equal(found.pid, a.pid, "F_GETLK's process") }
                    let free = RecordLock(b.lock(g, F_GETLK, Self.write, start: 300).data)
                    c.equal(free.kind, Int16(Self.none), "F_GETLK of a free range")
                    // Down to a read lock: the other may then read too.
                    a.lock(f, F_SETLK, Self.read, start: 0, length: 40).ok("downgrade")
                    b.lock(g, F_SETLK, Self.read, start: 0, length: 10).ok()
                    a.lock(f, F_SETLK, Self.none).ok()
                    b.lock(g, F_SETLK, Self.write).ok()
                    b.lock(g, F_SETLK, Self.none).ok()
                    // Any close of the file by the process drops all of its locks.
                    a.lock(f, F_SETLK, Self.write).ok()
                    let again = a.opened("f", O_RDONLY)
                    b.lock(g, F_SETLK, Self.write).fails(EAGAIN, EACCES)
                    a.close(again)
                    b.lock(g, F_SETLK, Self.write).ok("after closing another descriptor")
                    let reading = a.opened("f", O_RDONLY)
                    a.lock(reading, F_SETLK, Self.write).fails(EBADF)
                    let writing = a.opened("f", O_WRONLY)
                    a.lock(writing, F_SETLK, Self.read).fails(EBADF)
                    a.lock(f, F_SETLK, 99).fails(EINVAL)
                    a.lock(f, F_SETLK, Self.write, start: -1).fails(EINVAL)
                    b.close(g)
                    a.lock(f, F_SETLK, Self.write).ok("after the other closed")
                }
            }
        }

        @Test(arguments: Place.all) func waiting(_ place: Place) async throws {
            try await place.check { c in
                Self.withBoth(c) { a, b, _ in
                    let f = a.opened("f", O_CREAT | O_RDWR)
                    let g = b.opened("f")
                    a.lock(f, F_SETLKW, Self.write, start: 0, length: 10).ok()
                    b.startLock(g, F_SETLKW, Self.read, start: 5, length: 10)
                    c.expect(!b.hasFinished(withinSeconds: 0.2), "it did not wait")
                    a.lock(f, F_SETLK, Self.none, start: 0, length: 5).ok()
                    c.expect(!b.hasFinished(withinSeconds: 0.1), "woken by another range")
                    a.lock(f, F_SETLK, Self.none).ok()
                    b.finish().ok("after the unlock")
                    // The other way round, and woken by a close.
                    a.startLock(f, F_SETLKW, Self.write)
                    c.expect(!a.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.close(g)
                    a.finish().ok("after the close")
                    // A signal ends the wait, and no lock remains of it.
                    let h = b.opened("f")
                    b.startLock(h, F_SETLKW, Self.write)
                    c.expect(!b.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.interrupt()
                    b.finish().fails(EINTR)
                    a.lock(f, F_SETLK, Self.none).ok()
                    a.lock(f, F_SETLK, Self.write).ok("after the other's wait was broken off")
                    // Two that wait for each other: one of them is told.
                    a.lock(f, F_SETLK, Self.none).ok()
                    a.lock(f, F_SETLK, Self.write, start: 0, length: 1).ok()
                    b.lock(h, F_SETLK, Self.write, start: 1, length: 1).ok()
                    a.startLock(f, F_SETLKW, Self.write, start: 1, length: 1)
                    c.expect(!a.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.lock(h, F_SETLKW, Self.write, start: 0, length: 1).fails(EDEADLK)
                    b.lock(h, F_SETLK, Self.none).ok()
                    a.finish().ok("after the deadlock was refused")
                    // Death of the holder.
                    b.startLock(h, F_SETLKW, Self.write)
                    c.expect(!b.hasFinished(withinSeconds: 0.1), "it did not wait")
                    a.end()
                    b.finish().ok("after the holder died")
                }
            }
        }

        @Test(arguments: Place.all) func descriptionLocks(_ place: Place) async throws {
            try await place.check { c in
                let (set, wait) = (Flags.setDescriptionLock, Flags.setDescriptionLockWait)
                Self.withBoth(c) { a, b, _ in
                    let f = a.opened("f", O_CREAT | O_RDWR)
                    let own = a.opened("f")
                    let g = b.opened("f")
                    a.lock(f, set, Self.write, start: 0, length: 10).ok()
                    a.lock(own, set, Self.write, start: 0, length: 10).fails(EAGAIN)
                    b.lock(g, set, Self.read, start: 0, length: 10).fails(EAGAIN)
                    b.lock(g, F_SETLK, Self.read, start: 0, length: 10).fails(EAGAIN, EACCES)
                    a.lock(own, F_SETLK, Self.read, start: 0, length: 10).fails(EAGAIN, EACCES)
                    let test = b.lock(g, Flags.getDescriptionLock, Self.write)
                    test.ok()
                    let found = RecordLock(test.data)
                    c.equal(found.kind, Int16(Self.write), "F_OFD_GETLK's type")
                    c.equal(found.length, 10, "F_OFD_GETLK's length")
                    c.equal(found.pid, -1, "F_OFD_GETLK's process")
                    // A duplicate is the same description, and closing one keeps the lock.
                    let twin = a.call("dup", .number(f)).ok()
                    a.lock(twin, set, Self.write, start: 5, length: 10).ok()
                    a.close(f)
                    a.close(own)
                    b.lock(g, set, Self.write, start: 0, length: 1).fails(EAGAIN)
                    b.startLock(g, wait, Self.write)
                    c.expect(!b.hasFinished(withinSeconds: 0.2), "it did not wait")
                    a.close(twin)
                    b.finish().ok("after the last close")
                    let h = a.opened("f")
                    a.startLock(h, wait, Self.read)
                    c.expect(!a.hasFinished(withinSeconds: 0.1), "it did not wait")
                    a.interrupt()
                    a.finish().fails(EINTR)
                    a.startLock(h, wait, Self.read)
                    c.expect(!a.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.end()
                    a.finish().ok("after the holder died")
                }
            }
        }

        @Test(arguments: Place.all) func wholeFileLocks(_ place: Place) async throws {
            try await place.check { c in
                let (shared, exclusive) = (Int32(LOCK_SH), Int32(LOCK_EX))
                let (unlock, now) = (Int32(LOCK_UN), Int32(LOCK_NB))
                Self.withBoth(c) { a, b, _ in
                    let f = a.opened("f", O_CREAT | O_RDWR)
                    let own = a.opened("f", O_RDONLY)
                    let g = b.opened("f", O_RDONLY)
                    a.flock(f, shared).ok()
                    b.flock(g, shared | now).ok("readers share")
                    b.flock(g, exclusive | now).fails(EAGAIN)
                    a.flock(f, unlock).ok()
                    b.flock(g, exclusive | now).ok("by a descriptor that only reads")
                    a.flock(f, shared | now).fails(EAGAIN)
                    b.flock(g, unlock).ok()
                    a.flock(f, exclusive).ok()
                    a.flock(own, exclusive | now).fails(EAGAIN)
                    // Locks of fcntl(2) are of another kind.
                    b.lock(b.opened("f"), F_SETLK, Self.write).ok("beside a flock")
                    b.startFlock(g, shared)
                    c.expect(!b.hasFinished(withinSeconds: 0.2), "it did not wait")
                    a.flock(f, shared).ok("downgrade")
                    b.finish().ok("after the downgrade")
                    a.flock(f, exclusive | now).fails(EAGAIN)
                    b.flock(g, unlock).ok()
                    let twin = a.call("dup", .number(f)).ok()
                    a.flock(twin, exclusive | now).ok("by a duplicate")
                    a.close(f)
                    b.flock(g, shared | now).fails(EAGAIN)
                    b.startFlock(g, exclusive)
                    c.expect(!b.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.interrupt()
                    b.finish().fails(EINTR)
                    b.startFlock(g, exclusive)
                    c.expect(!b.hasFinished(withinSeconds: 0.1), "it did not wait")
                    a.close(twin)
                    b.finish().ok("after the last close")
                    a.startFlock(own, shared)
                    c.expect(!a.hasFinished(withinSeconds: 0.1), "it did not wait")
                    b.end()
                    a.finish().ok("after the holder died")
                    a.flock(99, shared).fails(EBADF)
                    a.flock(own, 0).fails(EINVAL)
                }
            }
        }

        /// Many who wait get their turns, one at a time.
        @Test(arguments: Place.all) func turns(_ place: Place) async throws {
            try await place.check { c in
                c.root.create("f")
                let callers = (0..<8).map { c.another(onOtherNode: $0 % 2 == 1) }
                let files = callers.map { $0.opened("f") }
                callers[0].lock(files[0], F_SETLKW, Self.write).ok()
                for index in 1..<8 { callers[index].startLock(files[index], F_SETLKW, Self.write) }
                usleep(100_000)
                var waiting = Set(1..<8)
                var holder = 0
                while !waiting.isEmpty, !c.report.isHung {
                    let done = waiting.filter { callers[$0].hasFinished(withinSeconds: 0) }
                    c.equal(done.count, 0, "holders beside the one")
                    callers[holder].lock(files[holder], F_SETLK, Self.none).ok()
                    var next: Int?
                    for _ in 0..<2000 where next == nil {
                        next = waiting.first { callers[$0].hasFinished(withinSeconds: 0) }
                        if next == nil { usleep(5000) }
                    }
                    guard let next else {
                        return c.expect(false, "nobody was woken; \(waiting.count) wait")
                    }
                    callers[next].finish().ok()
                    waiting.remove(next)
                    holder = next
                }
            }
        }
    }
}
