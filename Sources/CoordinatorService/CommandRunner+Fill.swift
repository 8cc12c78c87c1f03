import CoordinatorCore
import HostFileSystem
import VolumeModel
import VolumeProtocol

/// Holes that become written zeros, so that a node may write there directly, and back.
extension CommandRunner {
    /// Zeroes what of the range is a hole or unwritten, and nothing else: what was written before may
    /// be on its way to being written again. Where the holes are much for the room that is left nothing is
    /// zeroed: the node sends its data along then, which take no more room than they need.
    func fill(
        _ file: FileHandle, _ range: ByteRange, follows: Bool
    ) throws(ErrorCode) -> CommandResult {
        guard case .mapped(let known, let extents, let size) = try map(file, range) else {
            throw .inputOutput
        }
        let share =
            follows
            ? ServiceLimits.followingFillShareOfRoom : ServiceLimits.scatteredFillShareOfRoom
        let holes = extents.filter { $0.state == .hole }.reduce(0) { $0 + $1.lengthBytes }
        let room = try roomForData()
        guard try !shares(file), room / share >= holes else {
            return .filled(range: known, extents: extents, sizeBytes: size, zeroed: [])
        }
        var zeroed: [ByteRange] = []
        do throws(ErrorCode) {
            for extent in extents where extent.state == .hole || extent.state == .unwritten {
                try volume.fillHole(file, extent.fileRange)
                zeroed.append(extent.fileRange)
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
