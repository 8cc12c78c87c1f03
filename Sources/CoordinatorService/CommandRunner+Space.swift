import CoordinatorCore
import HostFileSystem
import VolumeModel

/// The last of a volume's room is for the coordinator's own records: who has filled a volume must be
/// able to remove something from it, also by another coordinator, and from a node that is new to it.
extension CommandRunner {
    /// What of the free room data may take, in bytes.
    func roomForData() throws(ErrorCode) -> UInt64 {
        let space = try volume.statistics()
        let (free, all) = (
            space.blocksFree * UInt64(space.blockSizeBytes),
            space.blocks * UInt64(space.blockSizeBytes)
        )
        let kept = min(ServiceLimits.keptRoomBytes, all / ServiceLimits.keptShareOfVolume)
        return free > kept ? free - kept : 0
    }

    /// Throws ENOSPC where data of so many bytes would take what is kept.
    func requireRoom(bytes: UInt64) throws(ErrorCode) {
        if try roomForData() < bytes { throw .noSpace }
    }

    /// The same for a write, which needs room only where nothing is allocated.
    func requireRoom(for range: ByteRange, of file: FileHandle) throws(ErrorCode) {
        guard !range.isEmpty, try roomForData() < range.lengthBytes + Limits.blockSizeBytes else {
            return
        }
        guard case .mapped(let known, let extents, let size) = try map(file, range) else {
            throw .noSpace
        }
        let isAllocated =
            range.endBytes <= size && known.endBytes >= range.endBytes
            && extents.allSatisfy { $0.state != .hole }
        if !isAllocated { throw .noSpace }
    }
}
