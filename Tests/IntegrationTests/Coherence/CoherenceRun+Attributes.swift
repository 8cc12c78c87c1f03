import Glibc

/// Operations on attributes, locks, and the look at everything in the end.
extension CoherenceRun {
    func status(_ node: Int) throws {
        if random.chance(1, of: 2), let open = randomOpen() {
            note("node \(open.node) fstat file \(open.file.number)")
            var found = stat()
            try call("fstat") { fstat(open.descriptor, &found) }
            try compare(found, open.file)
            return
        }
        let (directory, name) = randomName()
        let file = names[directory][name]
        note("node \(node) stat \(directory)/\(name) (file \(file?.number ?? 0))")
        var found = stat()
        try call("stat", expecting: file == nil ? ENOENT : nil) {
            lstat(path(node, directory, name), &found)
        }
        if let file { try compare(found, file) }
    }

    func compare(_ found: stat, _ file: ModelFile) throws {
        let time = Int64(found.st_mtim.tv_sec) * 1_000_000_000 + Int64(found.st_mtim.tv_nsec)
        if Int(found.st_size) != file.size {
            throw mismatch("size \(found.st_size), expected \(file.size)")
        }
        if Int(found.st_nlink) != file.links {
            throw mismatch("link count \(found.st_nlink), expected \(file.links)")
        }
        if found.st_mode & 0o7777 != file.mode {
            throw mismatch(
                "mode 0\(String(found.st_mode & 0o7777, radix: 8)), expected 0"
                    + String(file.mode, radix: 8))
        }
        if let exact = file.timeExact, time != exact {
            throw mismatch("mtime \(time), was set to \(exact)")
        }
        if time < file.timeFloor {
            throw mismatch(
                "mtime \(time) is \((file.timeFloor - time) / 1000) µs before \(file.timeFloor)")
        }
        if file.timeExact == nil, time > Self.now() + 5_000_000 {
            throw mismatch("mtime \(time) is in the future")
        }
        file.timeFloor = time
    }

    func changeMode(_ node: Int) throws {
        let (directory, name) = randomName()
        guard let file = names[directory][name] else { return }
        let mode = UInt32(0o600 + random.below(0o100))
        note("node \(node) chmod \(directory)/\(name) 0\(String(mode, radix: 8))")
        try call("chmod") { chmod(path(node, directory, name), mode) }
        file.mode = mode
    }

    func setTimes(_ node: Int) throws {
        let (directory, name) = randomName()
        guard let file = names[directory][name] else { return }
        let time = timespec(
            tv_sec: 1_000_000_000 + random.below(600_000_000), tv_nsec: random.below(1_000_000_000))
        note("node \(node) utimens \(directory)/\(name) (file \(file.number)) \(time.tv_sec)")
        let times = [time, time]
        try call("utimensat") { utimensat(AT_FDCWD, path(node, directory, name), times, 0) }
        let nanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        file.timeExact = nanoseconds
        file.timeFloor = nanoseconds
    }

    // MARK: Locks

    func lock() throws {
        guard let open = randomOpen() else { return }
        switch random.below(5) {
        case 0: try wholeLock(open)
        case 1: try recordLock(open, .node(open.node), F_SETLK)
        default: try recordLock(open, .open(open.number), RecordCommand.set)
        }
    }

    private enum RecordCommand {
        /// F_OFD_GETLK and F_OFD_SETLK, `asm-generic/fcntl.h`.
        static let get: Int32 = 36
        static let set: Int32 = 37
    }

    private func recordLock(_ open: Open, _ holder: LockHolder, _ command: Int32) throws {
        let file = open.file
        let start = random.below(10) * 100
        let last = random.chance(1, of: 5) ? Int(Int64.max) : start + random.below(4) * 100 + 99
        let kind = random.below(4)
        var lock = flock()
        lock.l_type = Int16(kind == 0 ? F_UNLCK : kind == 1 ? F_RDLCK : F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(start)
        lock.l_len = last == Int(Int64.max) ? 0 : off_t(last - start + 1)
        let wanted = ModelLocks.Range(holder: holder, isWrite: kind > 1, start: start, last: last)
        note(
            "node \(open.node) lock \(holder) file \(file.number) type \(lock.l_type) "
                + "[\(start), \(last)]")
        if kind == 0 {
            try call("unlock") { fcntl(open.descriptor, command, &lock) }
            file.locks.unlock(holder, start, last)
            return
        }
        if command == RecordCommand.set, random.chance(1, of: 4) {
            try settled {
                var asked = lock
                try call("F_OFD_GETLK") { fcntl(open.descriptor, RecordCommand.get, &asked) }
                let isFree = asked.l_type == Int16(F_UNLCK)
                return isFree == !file.locks.conflicts(wanted)
                    ? nil : "F_OFD_GETLK says \(isFree ? "free" : "locked"): \(file.locks)"
            }
        }
        let expected = !file.locks.conflicts(wanted)
        try settled {
            errno = 0
            let isGranted = fcntl(open.descriptor, command, &lock) == 0
            if !isGranted, errno != EAGAIN, errno != EACCES {
                return "lock: \(String(cString: strerror(errno)))"
            }
            return isGranted == expected
                ? nil : "lock \(isGranted ? "granted" : "refused"): \(file.locks)"
        }
        _ = file.locks.lock(wanted)
    }

    private func wholeLock(_ open: Open) throws {
        let kind = random.below(3)
        note("node \(open.node) flock \(open.number) file \(open.file.number) kind \(kind)")
        if kind == 0 {
            try call("flock") { flock(open.descriptor, LOCK_UN) }
            open.file.locks.unflock(open.number)
            return
        }
        let before = open.file.locks
        let expected = open.file.locks.flock(open.number, exclusive: kind == 2)
        try settled {
            errno = 0
            let isGranted =
                flock(open.descriptor, (kind == 2 ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0
            if !isGranted, errno != EAGAIN { return "flock: \(String(cString: strerror(errno)))" }
            return isGranted == expected
                ? nil : "flock \(isGranted ? "granted" : "refused"): \(before.flocks)"
        }
    }

    /// The kernel sends the end of a closed file's own locks without waiting for it, so a lock may be
    /// found a little longer. `attempt` says what is wrong.
    private func settled(_ attempt: () throws -> String?) throws {
        var wrong = try attempt()
        for _ in 0..<40 where wrong != nil {
            usleep(50_000)
            wrong = try attempt()
        }
        if let wrong { throw mismatch(wrong) }
    }

    // MARK: The end

    /// Every file on all nodes, with everything closed.
    func verifyAll() throws {
        for open in opens {
            try verify(open.descriptor, open.file, 0, buffer.count, "at the end, node \(open.node)")
            try call("close") { Glibc.close(open.descriptor) }
        }
        opens = []
        for root in place.nodes + [place.observer] {
            for directory in 0...1 {
                try compareList(root, directory)
                for (name, file) in names[directory].sorted(by: { $0.key < $1.key }) {
                    let path = "\(root)/\(top)/\(directoryNames[directory])/\(name)"
                    var found = stat()
                    try call("stat") { lstat(path, &found) }
                    try compare(found, file)
                    let descriptor = try call("open") { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
                    defer { Glibc.close(descriptor) }
                    try verify(descriptor, file, 0, buffer.count, "at the end, \(root),")
                }
            }
        }
    }
}
