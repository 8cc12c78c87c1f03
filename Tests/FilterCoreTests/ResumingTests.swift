import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

/// What a later process of a node goes on with.
struct ResumingTests {
    private func handle(_ number: UInt8) throws -> FileHandle {
        try #require(FileHandle(kind: 1, bytes: [number, 0, 0, 0]))
    }

    @Test func opensKeepTheirNumbers() throws {
        var filter = FilterCore()
        let (first, third) = (try handle(1), try handle(3))
        filter.resume([
            ResumedFile(index: FileIndex(number: 0), handle: first, openCount: 1),
            ResumedFile(index: FileIndex(number: 2), handle: third, openCount: 2),
        ])
        #expect(filter.index(of: third) == FileIndex(number: 2))
        #expect(filter.handle(of: FileIndex(number: 0)) == first)
        // The number between is free, and then the next.
        #expect(filter.open(try handle(7)) == FileIndex(number: 1))
        #expect(filter.open(try handle(8)) == FileIndex(number: 3))
        #expect(filter.open(third) == FileIndex(number: 2))
        for _ in 0..<3 { _ = filter.close(FileIndex(number: 2)) }
        #expect(filter.index(of: third) == nil)
    }

    /// How far a file had grown is seen here, and told to whoever recalls it.
    @Test func aGrowthIsToldOnce() throws {
        var filter = FilterCore()
        let file = FileIndex(number: 0)
        let claim = GrowthClaim(visibleSizeBytes: 4096, allocatedEndBytes: 1 << 20)
        filter.resume([
            ResumedFile(
                index: file, handle: try handle(1), openCount: 1, growth: (claim, 70_000))
        ])
        #expect(filter.ownSizeBytes(try handle(1)) == 70_000)
        #expect(filter.claim(of: file)?.growth == claim)
        #expect(filter.growthToNote(file)?.sizeBytes == 70_000)
        let ended = filter.recall(
            try handle(1), .everything, LayoutGeneration(1), ticket: RecallTicket(number: 1),
            nowNanoseconds: 1)
        #expect(ended?.report.grownSizeBytes == 70_000)
        filter.growthReturned(file)
        let known = try handle(1)
        #expect(filter.growthToNote(file) == nil)
        #expect(filter.ownSizeBytes(known) == nil)
    }
}
