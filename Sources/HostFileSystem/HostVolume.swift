import CLinux
import Locking
import VolumeModel

/// The coordinator's private mount of a volume: a file system that is in no mount namespace, reached
/// by file handle.
///
/// Every operation blocks, and may be called on any number of threads at once, each prepared with
/// ``HostThread/prepare()``. Nothing here is ordered or recalled: the rules between operations are the
/// coordinator's. Metadata changes are in memory until ``sync()``.
public final class HostVolume: Sendable {
    /// The block device that is mounted.
    public let device: String
    public let kind: FileSystemKind
    /// The handle of the volume's root directory.
    public let rootHandle: FileHandle

    struct Descriptors {
        /// The detached mount itself: it ends with this descriptor and all others below it.
        let mount: Descriptor
        /// The root directory, which open_by_handle_at(2) takes.
        let root: Descriptor
    }

    private let descriptors: Lock<Descriptors?>
    let cache: DescriptorCache

    init(
        device: String, kind: FileSystemKind, rootHandle: FileHandle, descriptors: Descriptors,
        descriptorsMaximum: Int
    ) {
        self.device = device
        self.kind = kind
        self.rootHandle = rootHandle
        self.descriptors = Lock(descriptors)
        cache = DescriptorCache(capacity: descriptorsMaximum)
    }

    /// Commits every change made so far to the LUN, syncfs(2). Throws an error that was met in
    /// writing back anything since the last call, also what no earlier call could report.
    public func sync() throws(ErrorCode) {
        try root().use { fd throws(ErrorCode) in _ = try call(covol_syncfs(fd)) }
    }

    /// Gives up the descriptors kept for a file, so that its blocks are freed once it has no name;
    /// also the one that keeps a file of ``createUnnamed(in:mode:creator:)`` alive.
    public func forget(_ handle: FileHandle) {
        cache.unpin(handle)
        cache.forget(handle)
    }

    /// Closes every descriptor. The file system is unmounted when operations still under way have
    /// ended; only ``proveUnmounted(device:timeoutSeconds:)`` tells. Later operations throw ENODEV.
    public func close() {
        let closing = descriptors.withLock { descriptors in
            let value = descriptors
            descriptors = nil
            return value
        }
        cache.close()
        withExtendedLifetime(closing) {}
    }

    func root() throws(ErrorCode) -> Descriptor {
        guard let root = descriptors.withLock({ $0?.root }) else { throw .noDevice }
        return root
    }

    /// Runs `body` with an open descriptor of the file, from the cache or newly opened.
    func with<Result>(
        _ handle: FileHandle, _ purpose: DescriptorCache.Purpose,
        _ body: (Int32) throws(ErrorCode) -> Result
    ) throws(ErrorCode) -> Result {
        let descriptor = try descriptor(handle, purpose)
        do throws(ErrorCode) {
            return try descriptor.use(body)
        } catch {
            if error == .stale { cache.forget(handle) }
            throw error
        }
    }

    private func descriptor(
        _ handle: FileHandle, _ purpose: DescriptorCache.Purpose
    ) throws(ErrorCode) -> Descriptor {
        let key = DescriptorCache.Key(handle: handle, purpose: purpose)
        let (cached, ticket) = cache.find(key)
        if let cached { return cached }
        let opened: Descriptor
        switch purpose {
        case .path:
            opened = try open(handle, flags: covol_o_path)
        case .buffered:
            opened = try openReadWrite(handle, flags: 0)
        case .direct:
            opened = try openReadWrite(handle, flags: covol_o_direct)
        }
        cache.insert(opened, key, ticket)
        return opened
    }

    /// Opens a file by its handle. A full descriptor table empties the cache and tries once more.
    func open(_ handle: FileHandle, flags: Int32) throws(ErrorCode) -> Descriptor {
        do throws(ErrorCode) {
            return try openOnce(handle, flags: flags)
        } catch {
            guard error == .tooManyOpenFiles || error.number == 24 else { throw error }
            cache.forgetAll()
            return try openOnce(handle, flags: flags)
        }
    }

    private func openOnce(_ handle: FileHandle, flags: Int32) throws(ErrorCode) -> Descriptor {
        let bytes = handle.bytes
        let number = try root().use { root throws(ErrorCode) in
            try call(
                covol_open_by_handle(root, handle.kind, bytes, UInt32(bytes.count), flags))
        }
        return Descriptor(owning: number)
    }

    /// For reading and writing, or only for reading where the file is a directory, immutable or
    /// append-only: such a write then fails at the write.
    private func openReadWrite(_ handle: FileHandle, flags: Int32) throws(ErrorCode) -> Descriptor {
        let opened: Descriptor
        do throws(ErrorCode) {
            opened = try open(handle, flags: covol_o_rdwr | flags)
        } catch {
            switch error {
            case .isDirectory where flags == 0, .notPermitted, .readOnly:
                opened = try open(handle, flags: covol_o_rdonly | flags)
            default:
                throw error
            }
        }
        let mode = try opened.use { fd throws(ErrorCode) in try Self.status(fd).mode }
        switch FileKind(rawValue: mode & FileKind.mask) {
        case .regular, .directory: return opened
        default: throw .invalid
        }
    }
}
