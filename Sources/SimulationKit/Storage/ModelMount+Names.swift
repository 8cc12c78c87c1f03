import VolumeModel
import VolumeProtocol

extension ModelMount {
    static let rootInode: UInt32 = 1

    func entry(_ number: UInt32) -> FileEntry {
        FileEntry(handle: state.handle(of: number), attributes: attributes(number))
    }

    func attributes(_ number: UInt32) -> FileAttributes {
        let inode = state.inodes[number]
        let time = Timestamp(seconds: 0, nanoseconds: 0)
        let isRoot = number == Self.rootInode
        return FileAttributes(
            inode: UInt64(number), sizeBytes: inode?.sizeBytes ?? 0, blocks512: 0,
            accessTime: time, modificationTime: time, changeTime: time,
            mode: isRoot ? 0o040755 : 0o100644, linkCount: UInt32(inode?.links ?? 1), userID: 0,
            groupID: 0, deviceMajor: 0, deviceMinor: 0, blockSizeBytes: 4096)
    }

    func attributes(_ file: FileHandle) throws(ErrorCode) -> FileAttributes {
        attributes(try number(file))
    }

    func lookup(_ name: [UInt8]) throws(ErrorCode) -> FileEntry {
        guard let found = state.names[name] else { throw .noEntry }
        return entry(found)
    }

    func create(_ name: [UInt8]) throws(ErrorCode) -> FileEntry {
        try requirePath()
        guard state.names[name] == nil else { throw .exists }
        // The lowest free number: a file's number comes back with the next file.
        var number = Self.rootInode + 1
        while state.inodes[number] != nil { number += 1 }
        state.lastGeneration += 1
        state.inodes[number] = FileSystemState.Inode(generation: state.lastGeneration)
        state.names[name] = number
        commitInMemory()
        return entry(number)
    }

    func link(_ file: FileHandle, _ name: [UInt8]) throws(ErrorCode) {
        let number = try number(file)
        try requirePath()
        guard state.names[name] == nil else { throw .exists }
        guard !state.hidden.contains(number) else { throw .noEntry }
        state.names[name] = number
        state.inodes[number]?.links += 1
        commitInMemory()
    }

    func unlink(_ name: [UInt8]) throws(ErrorCode) {
        try requirePath()
        guard let number = state.names.removeValue(forKey: name) else { throw .noEntry }
        dropLink(number)
        commitInMemory()
    }

    private func dropLink(_ number: UInt32) {
        state.inodes[number]?.links -= 1
        guard state.inodes[number]?.links == 0 else { return }
        for mapping in state.inodes[number]?.blocks ?? [] {
            if let block = mapping.block { free(block) }
        }
        dropPages(number, from: 0, writingBack: false)
        state.inodes[number] = nil
        state.growthNotes[number] = nil
    }

    func rename(_ name: [UInt8], to target: [UInt8], hiding victim: FileHandle? = nil)
        throws(ErrorCode)
    {
        try requirePath()
        guard let number = state.names[name] else { throw .noEntry }
        if let old = state.names[target], old == number { return }
        if let victim {
            let inode = try self.number(victim)
            state.hidden.insert(inode)
            state.inodes[inode]?.links += 1
        }
        state.names[name] = nil
        let old = state.names.updateValue(number, forKey: target)
        if let old { dropLink(old) }
        commitInMemory()
    }

    /// Moves a file's last name into the private directory.
    func hide(_ name: [UInt8], _ file: FileHandle) throws(ErrorCode) {
        try requirePath()
        guard state.names[name] == state.inode(of: file), state.names[name] != nil else {
            throw .noEntry
        }
        state.names[name] = nil
        state.hidden.insert(try number(file))
        commitInMemory()
    }

    func removeHidden(_ file: FileHandle) throws(ErrorCode) {
        let number = try number(file)
        try requirePath()
        guard state.hidden.remove(number) != nil else { throw .noEntry }
        dropLink(number)
        commitInMemory()
    }

    /// setxattr(2): with `create`, fails where the attribute is there already.
    func setAttribute(_ file: FileHandle, _ value: UInt64, create: Bool) throws(ErrorCode) {
        let number = try number(file)
        try requirePath()
        guard !create || state.inodes[number]?.attribute == nil else { throw .exists }
        state.inodes[number]?.attribute = value
        commitInMemory()
    }

    func removeAttribute(_ file: FileHandle) throws(ErrorCode) {
        let number = try number(file)
        try requirePath()
        guard state.inodes[number]?.attribute != nil else { throw .noData }
        state.inodes[number]?.attribute = nil
        commitInMemory()
    }
}
