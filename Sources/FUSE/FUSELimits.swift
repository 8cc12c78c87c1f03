import VolumeModel

/// Bounds of a mount that no option changes.
enum FUSELimits {
    static let pageSizeBytes = 4096
    /// Header page, payload, and two blocks so that an unaligned read fits in whole blocks.
    static let slotMemoryBytes =
        pageSizeBytes + Limits.payloadMaximumBytes + 2 * Int(Limits.blockSizeBytes)
    static let slotBufferBytes = slotMemoryBytes - pageSizeBytes
    /// So much of a ring entry's buffer is pinned, and its pages need not be looked up for LUN I/O: all
    /// of it would cost a megabyte an entry.
    static let registeredBufferBytes = 64 << 10
    /// A request is read to where a WRITE's payload then starts a page.
    static let headroomBytes = FUSERequestHeader.sizeBytes + FUSEDecoder.writeArgumentBytes
    /// A payload whose every block lies elsewhere, cut at both ends.
    static let segmentsPerSlotMaximum =
        Limits.payloadMaximumBytes / Int(Limits.blockSizeBytes) + 2
    static let slotsPerWorkerMaximum = 4096
    static let workersMaximum = 256
    /// Data requests that wait for a slot, per worker, so that metadata requests behind them are
    /// seen; and what their payloads may hold.
    static let parkedRequestsMaximum = 1024
    static let parkedPayloadMaximumBytes = 16 << 20
    /// Requests read in one pass, before finished I/O is looked at.
    static let readsPerPass = 16
    /// How long a worker looks for the end of LUN I/O before it sleeps, what one step of that may take
    /// where nobody else wants the processor, with how many operations under way at most, and how many
    /// waits it sleeps through after attempts in vain.
    static let pollNanoseconds: UInt64 = 200_000
    static let pollStepNanoseconds: UInt64 = 100_000
    static let pollOperationsMaximum = 1
    static let pollPauseMaximum: UInt32 = 256
    /// A worker is loaded where so many requests come together and are not mostly such large writes; it
    /// takes so many requests in a row to be that, or no longer. Whether others are as well it looks up
    /// once in so many waits, and believes what they said so long.
    static let placementRequestsMinimum = 4
    static let placementLargeWriteBytes: UInt32 = 32 << 10
    static let placementVotes = 128
    static let placementWaits = 256
    static let placementBeliefMilliseconds: UInt64 = 200
    /// An abort waits so long for answers on their way to the kernel.
    static let settleMilliseconds = 500
    /// Tries of one segment that the kernel puts off.
    static let segmentRetriesMaximum: UInt8 = 16
    static let handshakeTimeoutMilliseconds: Int32 = 10_000
    /// In the header's page: where an entry's two parts are told to the kernel, behind the header.
    static let ringPartsOffset = 1024
    /// Slots for what comes through the device all the same, before the kernel uses its queues.
    static let deviceSlotsBesideRing = 4
    /// A queue is starved when the kernel had none of its entries for so long and got none back; then
    /// it gets so many more.
    static let starvationMilliseconds: Int64 = 5
    static let starvationEntries = 16
    /// The kernel's interface, `linux/fuse.h`: 7.31 has all that is asked for without a flag.
    static let protocolMajor: UInt32 = 7
    static let protocolMinorMinimum: UInt32 = 31
    static let protocolMinor: UInt32 = 45
}
