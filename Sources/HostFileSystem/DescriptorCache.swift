import Locking
import VolumeModel

/// A bounded cache of open descriptors, the least recently used leaves first. Safe for all threads.
///
/// An open descriptor keeps an inode without names alive, and with it its blocks. So whoever removes a
/// last name calls ``forget(_:)``, and a descriptor that was being opened meanwhile is not kept.
final class DescriptorCache: Sendable {
    /// What a descriptor is opened for.
    enum Purpose: UInt8, CaseIterable {
        /// `O_PATH`: any kind of file.
        case path
        /// Through the page cache, for reading and writing: regular files, and directories to read.
        case buffered
        /// `O_DIRECT`: regular files.
        case direct
    }

    struct Key: Hashable {
        let handle: FileHandle
        let purpose: Purpose
    }

    /// Taken before a file is opened; void once anything was forgotten since.
    struct Ticket {
        fileprivate let forgotten: UInt64
    }

    private struct State {
        var slots: DescriptorSlots
        var forgotten: UInt64 = 0
        var pinned: [FileHandle: Descriptor] = [:]
        var isClosed = false
    }

    private let capacity: Int
    private let state: Lock<State>

    init(capacity: Int) {
        self.capacity = capacity
        state = Lock(State(slots: DescriptorSlots(capacity: capacity)))
    }

    func find(_ key: Key) -> (descriptor: Descriptor?, ticket: Ticket) {
        state.withLock { ($0.slots.use(key), Ticket(forgotten: $0.forgotten)) }
    }

    /// A ticket alone, before a name is opened whose handle is not known yet.
    func ticket() -> Ticket { state.withLock { Ticket(forgotten: $0.forgotten) } }

    func insert(_ descriptor: Descriptor, _ key: Key, _ ticket: Ticket) {
        // Here and below descriptors are closed after the lock: a close may wait for the file system.
        let evicted = state.withLock { state -> Descriptor? in
            guard ticket.forgotten == state.forgotten, !state.isClosed else { return nil }
            return state.slots.insert(descriptor, key)
        }
        withExtendedLifetime(evicted) {}
    }

    /// Keeps a file without a name alive until ``unpin(_:)``.
    func pin(_ descriptor: Descriptor, _ handle: FileHandle) {
        state.withLock { state in
            if !state.isClosed { state.pinned[handle] = descriptor }
        }
    }

    func pinned(_ handle: FileHandle) -> Descriptor? { state.withLock { $0.pinned[handle] } }

    func unpin(_ handle: FileHandle) {
        let closing = state.withLock { $0.pinned.removeValue(forKey: handle) }
        withExtendedLifetime(closing) {}
    }

    /// Gives up the file's descriptors, except a pinned one.
    func forget(_ handle: FileHandle) {
        let closing = state.withLock { state in
            state.forgotten &+= 1
            return Purpose.allCases.compactMap { purpose in
                state.slots.remove(Key(handle: handle, purpose: purpose))
            }
        }
        withExtendedLifetime(closing) {}
    }

    /// Gives up everything that is not pinned; the answer to a full descriptor table.
    func forgetAll() {
        let closing = state.withLock { state in
            let slots = state.slots
            state.slots = DescriptorSlots(capacity: capacity)
            state.forgotten &+= 1
            return slots
        }
        withExtendedLifetime(closing) {}
    }

    /// Gives up everything, and keeps nothing from now on.
    func close() {
        let closing = state.withLock { state in
            let values = (state.slots, state.pinned)
            state = State(slots: DescriptorSlots(capacity: capacity))
            state.isClosed = true
            return values
        }
        withExtendedLifetime(closing) {}
    }

    /// The number of cached descriptors, without the pinned ones.
    var count: Int { state.withLock { $0.slots.count } }
}
