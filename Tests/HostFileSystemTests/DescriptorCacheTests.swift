import CLinux
import Testing
import VolumeModel

@testable import HostFileSystem

struct DescriptorCacheTests {
    private func handle(_ number: UInt8) -> FileHandle { FileHandle(kind: 1, bytes: [number])! }

    private func descriptor() throws -> Descriptor {
        Descriptor(owning: try call(covol_block_open("/dev/null", covol_o_rdonly)))
    }

    /// Against a plain array, newest first.
    @Test func keepsTheMostRecentlyUsed() throws {
        var slots = DescriptorSlots(capacity: 8)
        var model: [DescriptorCache.Key] = []
        var random = SeededGenerator(state: 11)
        let shared = try descriptor()
        for _ in 0..<20_000 {
            let key = DescriptorCache.Key(
                handle: handle(.random(in: 0..<12, using: &random)),
                purpose: DescriptorCache.Purpose.allCases.randomElement(using: &random)!)
            let place = model.firstIndex(of: key)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                #expect((slots.remove(key) != nil) == (place != nil))
                if let place { model.remove(at: place) }
            case 1, 2:
                #expect((slots.use(key) != nil) == (place != nil))
                if let place { model.insert(model.remove(at: place), at: 0) }
            default:
                let evicted = slots.insert(shared, key)
                #expect((evicted != nil) == (place == nil && model.count == 8))
                if place == nil { model = Array(([key] + model).prefix(8)) }
            }
            try #require(slots.newestFirst == model && slots.count == model.count)
        }
    }

    @Test func whatWasOpenedDuringAForgetIsNotKept() throws {
        let cache = DescriptorCache(capacity: 4)
        let key = DescriptorCache.Key(handle: handle(1), purpose: .path)
        let (none, ticket) = cache.find(key)
        #expect(none == nil)
        cache.forget(handle(1))
        cache.insert(try descriptor(), key, ticket)
        #expect(cache.count == 0)
        cache.insert(try descriptor(), key, cache.ticket())
        #expect(cache.find(key).descriptor != nil)
        cache.forget(handle(1))
        #expect(cache.find(key).descriptor == nil)
    }

    @Test func aPinLastsUntilItIsTakenAway() throws {
        let cache = DescriptorCache(capacity: 1)
        cache.pin(try descriptor(), handle(1))
        cache.forget(handle(1))
        cache.forgetAll()
        #expect(cache.pinned(handle(1)) != nil)
        cache.unpin(handle(1))
        #expect(cache.pinned(handle(1)) == nil)
        cache.close()
        cache.pin(try descriptor(), handle(1))
        cache.insert(try descriptor(), .init(handle: handle(2), purpose: .path), cache.ticket())
        #expect(cache.pinned(handle(1)) == nil && cache.count == 0)
    }
}
