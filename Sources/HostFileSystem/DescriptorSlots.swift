/// The order of use of a bounded number of descriptors: a dictionary into a dense array whose entries
/// are linked from the newest to the oldest. All operations take constant time.
struct DescriptorSlots {
    private struct Slot {
        var key: DescriptorCache.Key
        var descriptor: Descriptor
        var newer = none
        var older = none
    }

    private static let none = -1
    private let capacity: Int
    private var index: [DescriptorCache.Key: Int] = [:]
    private var slots: [Slot] = []
    private var newest = none
    private var oldest = none

    init(capacity: Int) {
        precondition(capacity > 0, "a cache without room")
        self.capacity = capacity
    }

    var count: Int { slots.count }

    /// Finds a descriptor and makes it the newest.
    mutating func use(_ key: DescriptorCache.Key) -> Descriptor? {
        guard let slot = index[key] else { return nil }
        unlink(slot)
        linkNewest(slot)
        return slots[slot].descriptor
    }

    /// Keeps a descriptor unless there is one already. Returns the one that made room.
    mutating func insert(_ descriptor: Descriptor, _ key: DescriptorCache.Key) -> Descriptor? {
        guard index[key] == nil else { return nil }
        let evicted = slots.count == capacity ? remove(slots[oldest].key) : nil
        slots.append(Slot(key: key, descriptor: descriptor))
        index[key] = slots.count - 1
        linkNewest(slots.count - 1)
        return evicted
    }

    mutating func remove(_ key: DescriptorCache.Key) -> Descriptor? {
        guard let slot = index.removeValue(forKey: key) else { return nil }
        unlink(slot)
        let descriptor = slots[slot].descriptor
        // The slots stay dense: the last one moves into the gap.
        let moved = slots.removeLast()
        if slot < slots.count {
            slots[slot] = moved
            index[moved.key] = slot
            if moved.newer == Self.none { newest = slot } else { slots[moved.newer].older = slot }
            if moved.older == Self.none { oldest = slot } else { slots[moved.older].newer = slot }
        }
        return descriptor
    }

    /// The descriptors from the newest to the oldest.
    var newestFirst: [DescriptorCache.Key] {
        var keys: [DescriptorCache.Key] = []
        var slot = newest
        while slot != Self.none {
            keys.append(slots[slot].key)
            slot = slots[slot].older
        }
        return keys
    }

    private mutating func unlink(_ slot: Int) {
        let (newer, older) = (slots[slot].newer, slots[slot].older)
        if newer == Self.none { newest = older } else { slots[newer].older = older }
        if older == Self.none { oldest = newer } else { slots[older].newer = newer }
    }

    private mutating func linkNewest(_ slot: Int) {
        slots[slot].newer = Self.none
        slots[slot].older = newest
        if newest != Self.none { slots[newest].newer = slot }
        newest = slot
        if oldest == Self.none { oldest = slot }
    }
}
