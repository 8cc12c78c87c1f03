import VolumeModel
import VolumeProtocol

/// What the cache of metadata says of a name.
public enum CachedEntry: Hashable, Sendable {
    case entry(FileEntry)
    case absent
}

/// Metadata that a node shows without asking its coordinator. All of it counts only while this node is
/// a member of the cluster by its own clock: then nobody has taken its grants for ended (rules
/// recall-before-change, valid-at-completion).
extension FilterCore {
    /// Nil: ask. A file that this node wrote and has not told of is always asked for: its size and
    /// times are a matter of both.
    public func cachedAttributes(
        _ handle: FileHandle, nowNanoseconds: UInt64
    ) -> FileAttributes? {
        guard mayAnswerFromMap(nowNanoseconds: nowNanoseconds),
            let attributes = metadata.attributes(of: handle)
        else { return nil }
        if let file = indexes[handle], !isToldOf(Int(file.number)) { return nil }
        return attributes
    }

    public func cachedEntry(_ name: NameInDirectory, nowNanoseconds: UInt64) -> CachedEntry? {
        guard mayAnswerFromMap(nowNanoseconds: nowNanoseconds) else { return nil }
        switch metadata.lookUp(name) {
        case .absent: return .absent
        case .file(let handle):
            return cachedAttributes(handle, nowNanoseconds: nowNanoseconds).map {
                .entry(FileEntry(handle: handle, attributes: $0))
            }
        case nil: return nil
        }
    }

    /// The coordinator knows of all that this node did to the file.
    private func isToldOf(_ slot: Int) -> Bool {
        let file = files[slot]
        return !hasUnreportedWrites(slot) && file.growth == nil && file.returnedSizeBytes == nil
            && file.unsettled == nil && file.unconfirmedReturns == 0 && !file.isLost
    }
}
