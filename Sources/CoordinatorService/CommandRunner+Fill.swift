import CoordinatorCore
import HostFileSystem
import VolumeModel
import VolumeProtocol

/// Holes that become written zeros, so that a node may write there directly, and back.
extension CommandRunner {
    /// Zeroes what of the range is a hole or unwritten, and nothing else: what was written before may
    /// be on its way to being written again. Where space is short only the beginning, or nothing: the
    /// node sends its data along then, and hears whether there is room for them.
    func fill(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) -> CommandResult {
        guard case .mapped(let known, let extents, let size) = try map(file, range) else {
            throw .inputOutput
        }
        if try shares(file) {
            return .filled(range: known, extents: extents, sizeBytes: size, zeroed: [])
        }
        let room = try roomForData()
        let end =
            room / ServiceLimits.fillShareOfRoom >= known.lengthBytes
            ? known.endBytes
            : min(known.endBytes, known.startBytes + ServiceLimits.fillWithLittleRoomBytes)
        var zeroed: [ByteRange] = []
        do throws(ErrorCode) {
            try requireRoom(bytes: end - known.startBytes)
            for extent in extents where extent.state == .hole || extent.state == .unwritten {
                // Where space is short, the rest of the extents lies behind the end.
                guard extent.fileOffsetBytes < end else { break }
                let part = ByteRange(
                    start: extent.fileOffsetBytes, end: min(extent.fileEndBytes, end))
                try volume.fillHole(file, part)
                zeroed.append(part)
            }
        } catch {
            guard error == .noSpace else { throw error }
        }
        guard case .mapped(let mapped, let filled, _) = try map(file, known) else {
            throw .inputOutput
        }
        return .filled(range: mapped, extents: filled, sizeBytes: size, zeroed: zeroed)
    }

    /// Makes a hole again of what was filled and never used.
    func takeBack(_ range: ByteRange, of file: FileHandle) throws(ErrorCode) {
        try volume.allocate(file, mode: [.punchHole, .keepSize], range)
        _ = try volume.dropCache(file, range)
    }
}
