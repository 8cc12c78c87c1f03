import CLinux
import Glibc

private enum RenameFlag {
    static let noReplace: UInt32 = 1
    static let exchange: UInt32 = 2
}

/// Operations on names, and opening and closing.
extension CoherenceRun {
    private static let opensMaximum = 14

    /// Opens a name, and makes a file of it where there is none.
    func open(_ node: Int) throws {
        guard opens.count < Self.opensMaximum else { return try close() }
        let (directory, name) = randomName()
        let known = names[directory][name]
        var flags = O_RDWR | O_CREAT | O_CLOEXEC
        if random.chance(1, of: 5) { flags |= O_EXCL }
        if random.chance(1, of: 8) { flags |= O_TRUNC }
        if random.chance(1, of: 4) { flags |= O_APPEND }
        if random.chance(1, of: 6) { flags |= O_DSYNC }
        if random.chance(1, of: 4) { flags |= covol_o_direct }
        lastNumber += 1
        let file = known ?? ModelFile(number: lastNumber)
        note(
            "node \(node) open \(directory)/\(name) (file \(file.number)) flags 0"
                + String(flags, radix: 8) + " as \(lastNumber)")
        let stamp = Self.stamp()
        errno = 0
        let descriptor = Glibc.open(path(node, directory, name), flags, 0o644)
        if known != nil, flags & O_EXCL != 0 {
            if descriptor >= 0 { Glibc.close(descriptor) }
            guard descriptor < 0, errno == EEXIST else {
                throw mismatch("O_EXCL of a name that is there: \(descriptor), errno \(errno)")
            }
            return
        }
        if descriptor < 0 { throw mismatch("open: \(String(cString: strerror(errno)))") }
        names[directory][name] = file
        if known == nil || flags & O_TRUNC != 0 {
            if known == nil || file.size > 0 { file.changed(since: stamp) }
            file.timeExact = nil
            file.truncate(0)
        }
        opens.append(
            Open(descriptor: descriptor, node: node, number: lastNumber, file: file, flags: flags))
    }

    func close() throws {
        guard !opens.isEmpty else { return }
        let open = opens.remove(at: random.below(opens.count))
        note("node \(open.node) close \(open.number) of file \(open.file.number)")
        try call("close") { Glibc.close(open.descriptor) }
        open.file.locks.close(open.number, node: open.node)
    }

    func rename(_ node: Int) throws {
        let (directory, name) = randomName()
        let (newDirectory, newName) = randomName()
        let file = names[directory][name]
        let victim = names[newDirectory][newName]
        let choice = random.below(4)
        let flags = choice == 0 ? RenameFlag.noReplace : choice == 1 ? RenameFlag.exchange : 0
        note(
            "node \(node) rename \(directory)/\(name) (file \(file?.number ?? 0)) to "
                + "\(newDirectory)/\(newName) (file \(victim?.number ?? 0)) flags \(flags)")
        var error: Int32?
        if file == nil {
            error = ENOENT
        } else if flags == RenameFlag.noReplace, victim != nil {
            error = EEXIST
        } else if flags == RenameFlag.exchange, victim == nil {
            error = ENOENT
        }
        // Both apply where neither is there and the new one may not be: the kernel looks there first.
        if file == nil, flags == RenameFlag.noReplace, victim != nil { return }
        try call("rename", expecting: error) {
            Linux.rename(
                path(node, directory, name), path(node, newDirectory, newName), flags: flags)
        }
        guard error == nil, file !== victim else { return }
        if flags == RenameFlag.exchange {
            names[directory][name] = victim
        } else {
            names[directory][name] = nil
            victim?.links -= 1
        }
        names[newDirectory][newName] = file
    }

    func link(_ node: Int) throws {
        let (directory, name) = randomName()
        let (newDirectory, newName) = randomName()
        guard let file = names[directory][name] else { return }
        let exists = names[newDirectory][newName] != nil
        note(
            "node \(node) link \(directory)/\(name) (file \(file.number)) as "
                + "\(newDirectory)/\(newName)")
        try call("link", expecting: exists ? EEXIST : nil) {
            Glibc.link(path(node, directory, name), path(node, newDirectory, newName))
        }
        guard !exists else { return }
        names[newDirectory][newName] = file
        file.links += 1
    }

    func unlink(_ node: Int) throws {
        let (directory, name) = randomName()
        let file = names[directory][name]
        note("node \(node) unlink \(directory)/\(name) (file \(file?.number ?? 0))")
        try call("unlink", expecting: file == nil ? ENOENT : nil) {
            Glibc.unlink(path(node, directory, name))
        }
        names[directory][name] = nil
        file?.links -= 1
    }

    func renameDirectory(_ node: Int) throws {
        let directory = random.below(2)
        let old = "\(place.nodes[node])/\(top)/\(directoryNames[directory])"
        let new = (directory == 0 ? "left" : "right") + "\(random.below(3))"
        guard new != directoryNames[directory] else { return }
        note("node \(node) rename directory \(directory) to \(new)")
        try call("rename of a directory") {
            Glibc.rename(old, "\(place.nodes[node])/\(top)/\(new)")
        }
        directoryNames[directory] = new
    }

    func list(_ node: Int) throws {
        let directory = random.below(2)
        note("node \(node) list \(directory)")
        try compareList(place.nodes[node], directory)
    }

    func compareList(_ root: String, _ directory: Int) throws {
        guard let stream = opendir("\(root)/\(top)/\(directoryNames[directory])") else {
            throw mismatch("opendir: \(String(cString: strerror(errno)))")
        }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { found.append(name) }
        }
        let expected = names[directory].keys.sorted()
        if found.sorted() != expected {
            throw mismatch("\(root) lists \(found.sorted()), expected \(expected)")
        }
    }
}
