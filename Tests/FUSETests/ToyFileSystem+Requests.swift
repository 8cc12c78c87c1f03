import FUSE
import Glibc
import VolumeModel

extension ToyFileSystem {
    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        let name = String("\(request)".prefix { $0 != "(" })
        let answer: () -> Void = state.withLock { state in
            state.requests[name, default: 0] += 1
            return Self.answer(
                request, context: context, reply: reply, state: &state, flusher: flusher)
        }
        answer()
    }

    private static func answer(
        _ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort, state: inout State,
        flusher: LUNFlusher
    ) -> () -> Void {
        let node = context.nodeID
        guard let file = state.files[node] ?? (node == 0 ? state.files[1] : nil) else {
            switch request {
            case .forget, .batchForget: return { reply.none() }
            default: return { reply.error(.stale) }
            }
        }
        switch request {
        case .lookup(let name):
            guard let entry = entry(name, state) else { return { reply.error(.noEntry) } }
            return { reply.entry(entry) }
        case .forget, .batchForget: return { reply.none() }
        case .getattr, .statx:
            if case .statx = request {
                return {
                    reply.statx(
                        FUSEStatx(
                            attributes: file.attributes,
                            birthTime: Timestamp(seconds: 1_600_000_000, nanoseconds: 5)))
                }
            }
            return { reply.attributes(file.attributes) }
        case .setattr(let set):
            if let size = set.change.sizeBytes { state.files[node]!.attributes.sizeBytes = size }
            if let mode = set.change.mode {
                state.files[node]!.attributes.mode =
                    file.attributes.mode & FileKind.mask | mode
            }
            if case .to(let time) = set.change.modificationTime {
                state.files[node]!.attributes.modificationTime = time
            }
            let attributes = state.files[node]!.attributes
            return { reply.attributes(attributes) }
        case .readlink: return { reply.data(file.target) }
        case .symlink(let name, let target):
            let made = make(name, mode: 0o120777, &state)
            state.files[made.nodeID]!.target = target
            return { reply.entry(made) }
        case .mknod(let name, let mode, let device, _):
            let made = make(name, mode: mode, &state)
            state.files[made.nodeID]!.attributes.deviceMajor = device.major
            state.files[made.nodeID]!.attributes.deviceMinor = device.minor
            guard let entry = entry(name, state) else { return { reply.error(.noEntry) } }
            return { reply.entry(entry) }
        case .create(let name, _, let mode, let umask, _):
            let made = make(name, mode: mode & ~umask, &state)
            return { reply.created(made, handle: made.nodeID, openFlags: openFlags) }
        case .unlink(let name):
            guard state.names.removeValue(forKey: name) != nil else {
                return { reply.error(.noEntry) }
            }
            return { reply.ok() }
        case .rename(let name, _, let newName, _):
            guard let moved = state.names.removeValue(forKey: name) else {
                return { reply.error(.noEntry) }
            }
            state.names[newName] = moved
            return { reply.ok() }
        case .open, .opendir: return { reply.opened(handle: node, openFlags: openFlags) }
        case .release, .releasedir, .flush, .access, .fsyncdir, .syncfs, .destroy:
            if case .release = request { state.files[node]!.locks = [] }
            return { reply.ok() }
        case .fsync:
            return {
                flusher.flush { if let error = $0 { reply.error(error) } else { reply.ok() } }
            }
        case .readdir(_, let offset, let size):
            state.directoryCalls.append(false)
            let page = directory(offset, size, isPlus: false, state)
            return { reply.directory(page) }
        case .readdirplus(_, let offset, let size):
            state.directoryCalls.append(true)
            let page = directory(offset, size, isPlus: true, state)
            return { reply.directory(page) }
        case .statfs:
            return {
                reply.statistics(
                    FileSystemStatistics(
                        blocks: 1000, blocksFree: 500, blocksAvailable: 400, files: 8,
                        filesFree: 3, blockSizeBytes: 4096, nameLengthMaximum: 255))
            }
        case .getxattr(let name, let size):
            guard let value = file.xattrs[name] else { return { reply.error(.noData) } }
            return valueAnswer(value, size, reply)
        case .listxattr(let size):
            return valueAnswer(file.xattrs.keys.flatMap { $0 + [0] }, size, reply)
        case .setxattr(let name, let value, _, _):
            state.files[node]!.xattrs[name] = value
            return { reply.ok() }
        case .removexattr(let name):
            let old = state.files[node]!.xattrs.removeValue(forKey: name)
            return { if old == nil { reply.error(.noData) } else { reply.ok() } }
        case .getlk, .setlk, .setlkw, .interrupt:
            return lockAnswer(request, context: context, reply: reply, state: &state)
        case .lseek(_, let offset, let whence):
            // All data, a hole at the end.
            return { reply.offset(whence == 3 ? offset : file.attributes.sizeBytes) }
        case .copyFileRange(let range): return { reply.written(range.length) }
        case .fallocate: return { reply.error(.notSupported) }
        case .ioctl: return { reply.error(.notTerminal) }
        case .mkdir, .rmdir, .link, .tmpfile: return { reply.error(.notPermitted) }
        case .poll, .bmap, .unknown: return { reply.error(.notImplemented) }
        }
    }

    private static var openFlags: UInt32 {
        FUSEOpenReplyFlags.directIO | FUSEOpenReplyFlags.parallelDirectWrites
    }

    private static func entry(_ name: [UInt8], _ state: State) -> FUSEEntry? {
        guard let node = state.names[name], let file = state.files[node] else { return nil }
        return FUSEEntry(nodeID: node, generation: 1, attributes: file.attributes)
    }

    private static func make(_ name: [UInt8], mode: UInt32, _ state: inout State) -> FUSEEntry {
        let node = UInt64(state.files.count + 1)
        precondition(node <= 1 + filesMaximum, "the toy is full")
        state.files[node] = File(attributes: attributes(node, mode: mode, size: 0))
        state.names[name] = node
        return FUSEEntry(nodeID: node, generation: 1, attributes: state.files[node]!.attributes)
    }

    private static func directory(
        _ offset: UInt64, _ size: UInt32, isPlus: Bool, _ state: State
    ) -> FUSEDirectoryBuilder {
        var builder = FUSEDirectoryBuilder(sizeBytes: size, isPlus: isPlus)
        let names = state.names.sorted { $0.value < $1.value }
        for (index, (name, node)) in names.enumerated().dropFirst(Int(offset)) {
            let added = builder.add(
                DirectoryEntry(
                    name: name, inode: node, kind: state.files[node]?.attributes.kind,
                    nextCookie: Int64(index + 1)),
                lookup: isPlus ? entry(name, state) : nil)
            if !added { break }
        }
        return builder
    }

    private static func valueAnswer(
        _ value: [UInt8], _ size: UInt32, _ reply: FUSEReplyPort
    ) -> () -> Void {
        if size == 0 { return { reply.xattrSize(UInt32(value.count)) } }
        if value.count > Int(size) { return { reply.error(.outOfRange) } }
        return { reply.data(value) }
    }
}
