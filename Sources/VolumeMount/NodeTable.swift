import Locking
import VolumeModel

/// The kernel's node numbers of one mount, and the files they stand for. Number 1 is the root.
final class NodeTable: Sendable {
    private struct Entry {
        var handle: FileHandle
        var lookups: UInt64
        /// The root's is nobody's to strike out.
        var record = MountLedger.Slot.none
        /// Of directories: what is still told of one that was removed while in use here.
        var lastAttributes: FileAttributes?
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var numbers: [FileHandle: UInt64] = [:]
        var last: UInt64 = 1
    }

    private let state: Lock<State>
    private let ledger: MountLedger
    static let root: UInt64 = 1

    /// - Parameter resumed: what the kernel knows from an earlier process.
    init(
        root: FileHandle, ledger: MountLedger,
        resumed: [(slot: MountLedger.Slot, record: MountLedger.Record)] = []
    ) {
        self.ledger = ledger
        var state = State()
        state.entries[Self.root] = Entry(handle: root, lookups: 1)
        state.numbers[root] = Self.root
        if resumed.isEmpty { _ = ledger.add(.node(Self.root, root, lookups: 1)) }
        for (slot, record) in resumed {
            guard case .node(let number, let handle, let lookups) = record else { continue }
            state.entries[number] = Entry(handle: handle, lookups: lookups, record: slot)
            state.numbers[handle] = number
            state.last = max(state.last, number)
        }
        self.state = Lock(state)
    }

    /// Counts a lookup, which the kernel will forget some day.
    func lookUp(_ handle: FileHandle) -> UInt64 {
        state.withLock { state in
            if let number = state.numbers[handle] {
                guard var entry = state.entries[number] else { return number }
                entry.lookups += 1
                ledger.set(lookups: entry.lookups, of: entry.record)
                state.entries[number] = entry
                return number
            }
            state.last += 1
            let record = ledger.add(.node(state.last, handle, lookups: 1))
            state.entries[state.last] = Entry(handle: handle, lookups: 1, record: record)
            state.numbers[handle] = state.last
            return state.last
        }
    }

    /// Keeps what a directory showed last.
    func remember(_ handle: FileHandle, _ attributes: FileAttributes) {
        guard attributes.kind == .directory else { return }
        state.withLock { state in
            guard let number = state.numbers[handle] else { return }
            state.entries[number]?.lastAttributes = attributes
        }
    }

    /// The attributes of a directory that is gone, and that a process still has as its own place.
    func attributesOfRemoved(_ handle: FileHandle) -> FileAttributes? {
        let last = state.withLock { state in
            state.numbers[handle].flatMap { state.entries[$0]?.lastAttributes }
        }
        guard var attributes = last else { return nil }
        attributes.linkCount = 0
        return attributes
    }

    func handle(_ number: UInt64) -> FileHandle? {
        state.withLock { $0.entries[number]?.handle }
    }

    func forget(_ number: UInt64, count: UInt64) {
        guard number != Self.root else { return }
        state.withLock { state in
            guard var entry = state.entries[number] else { return }
            if entry.lookups > count {
                entry.lookups -= count
                ledger.set(lookups: entry.lookups, of: entry.record)
                state.entries[number] = entry
            } else {
                ledger.remove(entry.record)
                state.entries[number] = nil
                state.numbers[entry.handle] = nil
            }
        }
    }
}
