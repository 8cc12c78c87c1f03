import Testing
import VolumeModel
import VolumeProtocol

@testable import FilterCore

/// What a node shows without asking, and what ends that.
struct MetadataCacheTests {
    let root = Self.file(0)
    let handle = Self.file(1)
    let name = NameInDirectory(parent: Self.file(0), name: [0x61])
    let other = NameInDirectory(parent: Self.file(0), name: [0x62])
    let creator = Creator(userID: 0, groupID: 0, umask: 0)

    static func file(_ number: UInt8) -> FileHandle {
        guard let handle = FileHandle(kind: 1, bytes: [number]) else {
            preconditionFailure("one byte makes a handle")
        }
        return handle
    }

    private func attributes(_ size: UInt64 = 0) -> FileAttributes {
        let time = Timestamp(seconds: 0, nanoseconds: 0)
        return FileAttributes(
            inode: 1, sizeBytes: size, blocks512: 0, accessTime: time, modificationTime: time,
            changeTime: time, mode: 0o100644, linkCount: 1, userID: 0, groupID: 0,
            deviceMajor: 0, deviceMinor: 0, blockSizeBytes: 4096)
    }

    private var entry: OperationResult {
        .entry(FileEntry(handle: handle, attributes: attributes(7)))
    }

    private func ask(
        _ cache: inout MetadataCache, _ operation: Operation, _ result: OperationResult,
        _ grant: MetadataGrant
    ) {
        let request = cache.begin(operation)
        cache.end(request, operation, result, grant)
    }

    private func filled() -> MetadataCache {
        var cache = MetadataCache()
        ask(&cache, .lookup(name), entry, .all)
        ask(&cache, .lookup(other), .failed(.noEntry), .names)
        return cache
    }

    @Test func grantedIsShown() {
        let cache = filled()
        #expect(cache.lookUp(name) == .file(handle) && cache.lookUp(other) == .absent)
        #expect(cache.attributes(of: handle)?.sizeBytes == 7)
        #expect(cache.attributes(of: root) == nil && cache.entryCount == 3)
    }

    @Test func onlyWhatIsGranted() {
        var cache = MetadataCache()
        ask(&cache, .lookup(name), entry, .names)
        #expect(cache.lookUp(name) != nil && cache.attributes(of: handle) == nil)
        cache = MetadataCache()
        ask(&cache, .lookup(name), entry, .attributes)
        #expect(cache.lookUp(name) == nil && cache.attributes(of: handle) != nil)
        ask(&cache, .lookup(other), .failed(.noEntry), [])
        ask(&cache, .lookup(other), .failed(.stale), .all)
        #expect(cache.lookUp(other) == nil)
    }

    @Test func recallsEndGrants() {
        var cache = filled()
        cache.recall(root)
        #expect(cache.lookUp(name) == nil && cache.lookUp(other) == nil)
        #expect(cache.attributes(of: handle) != nil)
        cache.recall(handle)
        #expect(cache.entryCount == 0)
    }

    /// Rule order-of-grant-and-recall: the recall came first, though the grant was made before it.
    @Test(arguments: [SafetyRules.all, SafetyRules.all.subtracting(.orderOfGrantAndRecall)])
    func lateGrants(_ rules: SafetyRules) {
        var cache = MetadataCache(rules: rules)
        let request = cache.begin(.lookup(name))
        cache.recall(root)
        cache.end(request, .lookup(name), entry, .all)
        #expect((cache.lookUp(name) != nil) == (rules != .all))
        #expect(cache.attributes(of: handle) != nil, "the file itself was not recalled")
        ask(&cache, .lookup(name), entry, .all)
        #expect(cache.lookUp(name) != nil, "asked after the recall")
    }

    @Test func ownChangesEndWhatTheyChange() {
        var cache = filled()
        let unlink = Operation.unlink(other)
        let change = cache.begin(unlink)
        #expect(cache.lookUp(other) == nil && cache.lookUp(name) != nil)
        ask(&cache, .lookup(other), .failed(.noEntry), .names)
        #expect(cache.lookUp(other) == nil, "who is told before or after the change, nobody knows")
        let early = cache.begin(.lookup(other))
        cache.end(change, unlink, .done, [])
        cache.end(early, .lookup(other), .failed(.noEntry), .names)
        #expect(cache.lookUp(other) == nil, "asked before the change had ended")
        ask(&cache, .lookup(other), .failed(.noEntry), .names)
        #expect(cache.lookUp(other) == .absent)
    }

    @Test func ownChangesBringGrants() {
        var cache = filled()
        let create = Operation.create(
            other, mode: 0o644, creator, open: OpenID(1), exclusive: true)
        ask(&cache, create, entry, .all)
        #expect(cache.lookUp(other) == .file(handle) && cache.lookUp(name) != nil)
        var change = AttributeChange()
        change.sizeBytes = 9
        ask(&cache, .setAttributes(handle, change), .attributes(attributes(9)), .attributes)
        #expect(cache.attributes(of: handle)?.sizeBytes == 9)
    }

    @Test func twoOwnChangesOfOneThingBringNone() {
        var cache = filled()
        let change = Operation.setAttributes(handle, AttributeChange())
        let (first, second) = (cache.begin(change), cache.begin(change))
        cache.end(first, change, .attributes(attributes(1)), .attributes)
        #expect(cache.attributes(of: handle) == nil)
        cache.end(second, change, .attributes(attributes(2)), .attributes)
        #expect(cache.attributes(of: handle) == nil)
        ask(&cache, .attributes(handle), .attributes(attributes(3)), .attributes)
        #expect(cache.attributes(of: handle)?.sizeBytes == 3)
    }

    @Test func theCoordinatorsEndEndsAll() {
        var cache = filled()
        let request = cache.begin(.lookup(name))
        cache.removeAll()
        cache.end(request, .lookup(name), entry, .all)
        #expect(cache.entryCount == 0)
    }

    @Test func itIsBounded() {
        var cache = MetadataCache(entriesMaximum: 8)
        for number: UInt8 in 1...100 {
            let file = Self.file(number)
            ask(&cache, .attributes(file), .attributes(attributes()), .attributes)
            #expect(cache.entryCount <= 8)
        }
        #expect(cache.attributes(of: Self.file(100)) != nil)
        #expect(cache.attributes(of: Self.file(1)) == nil)
    }

    /// The list of recalls is bounded: what it has forgotten counts as recalled.
    @Test func manyRecalls() {
        var cache = MetadataCache()
        let request = cache.begin(.lookup(name))
        cache.recall(root)
        for number in 0...UInt32(MetadataCache.endedMaximum) {
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } + [1]
            FileHandle(kind: 1, bytes: bytes).map { cache.recall($0) }
        }
        cache.end(request, .lookup(name), entry, .all)
        #expect(cache.entryCount == 0)
    }

    // MARK: In the filter

    private func filter() -> (FilterCore, FileIndex) {
        var filter = FilterCore()
        let index = filter.open(handle)
        ask(&filter.metadata, .lookup(name), entry, .all)
        let extent = Extent(
            fileOffsetBytes: 0, lunOffsetBytes: 1 << 20, lengthBytes: 4096, state: .written)
        let grant = LayoutGrant(
            generation: LayoutGeneration(1), range: ByteRange(start: 0, end: 4096),
            extents: [extent], end: .at(sizeBytes: 4096))
        _ = filter.apply(grant, to: index, asGrowth: false)
        return (filter, index)
    }

    @Test func onlyWhileItIsAMember() {
        var (filter, _) = filter()
        filter.memberUntilNanoseconds = 100
        #expect(filter.cachedEntry(name, nowNanoseconds: 99) != nil)
        #expect(filter.cachedEntry(name, nowNanoseconds: 100) == nil)
        #expect(filter.cachedAttributes(handle, nowNanoseconds: 100) == nil)
    }

    @Test func ownWritesAreAskedFor() {
        var (filter, index) = filter()
        guard
            case .direct(let token, _, _) = filter.planWrite(
                index, offsetBytes: 0, lengthBytes: 4096)
        else {
            Issue.record("not direct")
            return
        }
        #expect(filter.cachedEntry(name, nowNanoseconds: 1) != nil)
        _ = filter.ended(token, succeeded: true, nowNanoseconds: 2)
        #expect(filter.cachedEntry(name, nowNanoseconds: 3) == nil)
        let report = filter.collectWrites(handle, nowNanoseconds: 4)
        #expect(!report.isEmpty)
        #expect(filter.cachedEntry(name, nowNanoseconds: 5) == nil, "its times have moved")
        #expect(filter.metadata.lookUp(name) == .file(handle))
    }

    @Test func lostWithTheCoordinator() {
        var (filter, _) = filter()
        filter.leaveCoordinator()
        #expect(filter.cachedEntry(name, nowNanoseconds: 1) == nil)
    }
}
