import CLinux
import Foundation
import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

@testable import HostFileSystem

extension RealVolumes {
    /// A file of very many extents (COVOL_EXTENTS, a million in `make soak`): its map comes in pieces,
    /// without a gap or a repetition.
    @Suite struct Extents {
        /// An extent as FIEMAP tells it.
        private struct Raw: Equatable {
            var fileOffsetBytes: UInt64
            var lunOffsetBytes: UInt64
            var lengthBytes: UInt64
        }

        @Test func veryMany() async throws {
            let extentCount =
                ProcessInfo.processInfo.environment["COVOL_EXTENTS"].flatMap { Int($0) } ?? 1 << 17
            try await RuleFixture.run(.xfs, sizeBytes: 9 << 30) { fixture in
                let node = fixture.node
                let file = try await node.create("file")
                let block = Limits.blockSizeBytes
                let size = UInt64(extentCount) * 2 * block
                try await node.done(
                    .allocate(file.handle, mode: 0, ByteRange(start: 0, end: size)))
                // Every other block is punched out.
                let clock = ContinuousClock()
                let start = clock.now
                let mode = Int32(AllocationMode([.keepSize, .punchHole]).rawValue)
                try fixture.volume.with(file.handle, .buffered) { fd throws(ErrorCode) in
                    for number in 0..<extentCount {
                        let offset = (UInt64(number) * 2 + 1) * block
                        _ = try call(covol_fallocate(fd, mode, offset, block))
                    }
                }
                let made = extentCount
                print("extents: \(made) made in \(start.duration(to: clock.now))")
                try await node.truncate(file.handle, to: UInt64(made) * 2 * block)

                var map = SectorMap()
                var granted: [Raw] = []
                var position: UInt64 = 0
                var pieces = 0
                let loading = clock.now
                while true {
                    let grant = try await node.fetchLayout(
                        file, ByteRange(start: position, end: .max))
                    try #require(grant.range.startBytes == position)
                    try #require(grant.extents.count <= Limits.extentsPerGrantMaximum)
                    try #require(
                        SectorMap.isValid(range: grant.range, extents: grant.extents))
                    for extent in grant.extents where extent.state != .hole {
                        try #require(extent.state == .unwritten)
                        granted.append(
                            Raw(
                                fileOffsetBytes: extent.fileOffsetBytes,
                                lunOffsetBytes: extent.lunOffsetBytes,
                                lengthBytes: extent.lengthBytes))
                    }
                    map.insert(range: grant.range, extents: grant.extents)
                    #expect(node.apply(grant, to: file))
                    position = grant.range.endBytes
                    pieces += 1
                    if case .at(let end) = grant.end {
                        #expect(end == UInt64(made) * 2 * block && position == end)
                        break
                    }
                }
                let loaded = loading.duration(to: clock.now)
                let perExtent = Double(map.memoryBytes) / Double(map.extentCount)
                print(
                    "extents: \(map.extentCount) of a map (\(granted.count) allocated, the rest "
                        + "holes) in \(pieces) pieces in \(loaded), \(perExtent) bytes each")
                #expect(granted.count == made)
                #expect(pieces >= 2 * made / Limits.extentsPerGrantMaximum)
                #expect(perExtent < 40)
                #expect(node.state.withLock { $0.filter.extentCount } == map.extentCount)

                let raw = try fixture.volume.with(file.handle, .buffered) { fd throws(ErrorCode) in
                    try Self.fiemap(fd)
                }
                #expect(raw.count == granted.count)
                #expect(raw == granted)

                // A look-up in all of it against one in a thousandth: logarithms, not lengths.
                var small = SectorMap()
                let part = ByteRange(start: 0, end: UInt64(made / 1000) * 2 * block)
                var extents: [Extent] = []
                map.forEachExtent(in: part) { extent in
                    extents.append(extent)
                    return true
                }
                small.insert(range: part, extents: extents)
                let (large, little) = (
                    Self.lookUpTime(map, size), Self.lookUpTime(small, part.endBytes)
                )
                print("extents: a look-up takes \(large), among a thousandth of them \(little)")
                #expect(large < little * 20)
            }
        }

        private static func lookUpTime(_ map: SectorMap, _ size: UInt64) -> Duration {
            let rounds: UInt64 = 200_000
            var offset: UInt64 = 1
            var found: UInt64 = 0
            let start = ContinuousClock().now
            for _ in 0..<rounds {
                offset = offset &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                found &+= map.extent(at: (offset >> 16) % size)?.fileOffsetBytes ?? 0
            }
            let time = start.duration(to: ContinuousClock().now)
            #expect(found != 0)
            return time / Int(rounds)
        }

        /// What FIEMAP itself says, decoded here once more: `linux/fiemap.h`.
        private static func fiemap(_ fd: Int32) throws(ErrorCode) -> [Raw] {
            let (headerBytes, extentBytes, room) = (32, 56, 10_000)
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: headerBytes + extentBytes * room, alignment: 8)
            defer { buffer.deallocate() }
            var found: [Raw] = []
            var position: UInt64 = 0
            while true {
                buffer.initializeMemory(as: UInt8.self, repeating: 0)
                buffer.storeBytes(of: position, toByteOffset: 0, as: UInt64.self)
                buffer.storeBytes(of: UInt64.max - position, toByteOffset: 8, as: UInt64.self)
                buffer.storeBytes(of: UInt32(room), toByteOffset: 24, as: UInt32.self)
                _ = try call(covol_fiemap(fd, buffer.baseAddress))
                let count = Int(buffer.load(fromByteOffset: 20, as: UInt32.self))
                if count == 0 { return found }
                for index in 0..<count {
                    let offset = headerBytes + extentBytes * index
                    let raw = Raw(
                        fileOffsetBytes: buffer.load(fromByteOffset: offset, as: UInt64.self),
                        lunOffsetBytes: buffer.load(fromByteOffset: offset + 8, as: UInt64.self),
                        lengthBytes: buffer.load(fromByteOffset: offset + 16, as: UInt64.self))
                    found.append(raw)
                    position = raw.fileOffsetBytes + raw.lengthBytes
                }
            }
        }
    }
}
