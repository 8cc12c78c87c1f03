import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

/// A data request that waits for a layout.
struct ParkedRequest: Sendable {
    var request: DataRequest
    var attempts: Int
}

extension FUSEReadRequest {
    var file: FileIndex { FileIndex(number: Int32(truncatingIfNeeded: handle)) }
}

extension FUSEWriteRequest {
    var file: FileIndex { FileIndex(number: Int32(truncatingIfNeeded: handle)) }
    var isAppend: Bool { flags & UInt32(OpenFlags.append) != 0 }
    var isDurable: Bool { flags & UInt32(OpenFlags.dataSync) != 0 }
    var clearsSetID: Bool { writeFlags & FUSEWriteFlags.killSetID != 0 }
}

/// Open flags, `asm-generic/fcntl.h`.
enum OpenFlags {
    static let exclusive = 0o200
    static let append = 0o2000
    static let dataSync = 0o10000
}

extension MountHandler {
    /// How often a request asks for a layout before it goes to the coordinator altogether.
    private static let layoutAttemptsMaximum = 3

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        start(request, slot, attempts: 0)
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        start(request, slot, attempts: 0)
    }

    private func start(_ request: FUSEReadRequest, _ slot: FUSESlot, attempts: Int) {
        let lane = slot.lane(of: state.lanes)
        let (plan, lun, wantsMap) = state.withLane(lane) { state in
            if state.hasLeaseEnded { return (ReadPlan.redirect, state.lunUse, false) }
            let plan = state.filter.planRead(
                request.file, offsetBytes: request.offsetBytes,
                lengthBytes: Int(request.sizeBytes), lane: lane)
            switch plan {
            case .direct(let token, _, _, let skip, let length),
                .segments(let token, _, let skip, let length):
                state.lanes[lane].remember(
                    token.position,
                    DirectIO(
                        request: .read(request), slot: slot, skipBytes: skip,
                        lengthBytes: length, startTick: state.tick))
                let wantsMap = state.filter.wantsMapAhead(
                    request.file, offsetBytes: request.offsetBytes)
                return (plan, state.lunUse, wantsMap)
            case .zeros, .end:
                // No reservation refuses these to a node that was fenced while it stood still.
                let now = MonotonicClock.nowNanoseconds
                if !state.filter.mayAnswerFromMap(nowNanoseconds: now) {
                    return (.redirect, state.lunUse, false)
                }
                if case .zeros(let length) = plan {
                    state.lanes[lane].count(directRead: length)
                }
            default:
                break
            }
            return (plan, state.lunUse, false)
        }
        if wantsMap { mapAhead(request.file, offsetBytes: request.offsetBytes) }
        switch plan {
        case .direct(let token, let offset, let blocks, _, _):
            slot.submit(
                read: FUSELUNSegment(
                    descriptor: lun.descriptor, lunOffsetBytes: offset, bufferOffsetBytes: 0,
                    lengthBytes: blocks, mayBlock: lun.mayBlock),
                tag: UInt64(token.number))
        case .segments(let token, let segments, _, _):
            var layout = SlotLayout(segments, in: slot, lun)
            slot.submit(reads: layout.count, tag: UInt64(token.number)) { layout.next() }
        case .zeros(let length):
            slot.buffer[..<length].initializeMemory(as: UInt8.self, repeating: 0)
            slot.replyRead(bufferOffset: 0, length: length)
        case .end:
            slot.replyRead(bufferOffset: 0, length: 0)
        case .needsLayout(let range) where mayPark(attempts):
            park(.read(request), slot, attempts: attempts, file: request.file, range)
        case .needsLayout, .redirect:
            redirect(request, slot)
        }
    }

    private func start(_ request: FUSEWriteRequest, _ slot: FUSESlot, attempts: Int) {
        if request.isAppend || request.clearsSetID || request.sizeBytes == 0 {
            redirect(request, slot)
            return
        }
        let size = Int(request.sizeBytes)
        let lane = slot.lane(of: state.lanes)
        var (plan, lun) = state.withLane(lane) { state -> (WritePlan?, LUNUse) in
            if state.hasLeaseEnded { return (.redirect, state.lunUse) }
            let plan = state.filter.planWriteAlone(
                request.file, offsetBytes: request.offsetBytes, lengthBytes: size, lane: lane)
            if let token = plan?.token { state.remember(token, request, slot, size) }
            return (plan, state.lunUse)
        }
        if plan == nil { (plan, lun) = planWithGrowthOrFill(request, slot, size, lane) }
        switch plan {
        case .direct(let token, let offset, let blocks):
            zeroTail(slot, from: size, to: blocks)
            slot.submit(
                write: FUSELUNSegment(
                    descriptor: lun.descriptor, lunOffsetBytes: offset, bufferOffsetBytes: 0,
                    lengthBytes: blocks, mayBlock: lun.mayBlock),
                dsync: request.isDurable, tag: UInt64(token.number))
        case .segments(let token, let segments):
            zeroTail(slot, from: size, to: segments.reduce(0) { $0 + $1.lengthBytes })
            var layout = SlotLayout(segments, in: slot, lun)
            slot.submit(
                writes: layout.count, dsync: request.isDurable, tag: UInt64(token.number)
            ) { layout.next() }
        case .needsLayout(let range) where mayPark(attempts):
            park(.write(request), slot, attempts: attempts, file: request.file, range)
        case .extends where size >= MountLimits.growthMinimumBytes && mayPark(attempts):
            grow(request, slot, attempts: attempts)
        case .fills(let blocks) where mayPark(attempts):
            fill(request, slot, attempts: attempts, blocks)
        case .needsLayout, .fills, .extends, .redirect:
            redirect(request, slot)
        case nil:
            preconditionFailure("a write without a plan")
        }
    }

    /// The plan of a write to a file that this node is lengthening, or filling ahead of its writes.
    private func planWithGrowthOrFill(
        _ request: FUSEWriteRequest, _ slot: FUSESlot, _ size: Int, _ lane: Int
    ) -> (WritePlan, LUNUse) {
        let (plan, lun, ahead) = state.withLock { state in
            if state.hasLeaseEnded { return (WritePlan.redirect, state.lunUse, ByteRange?.none) }
            let plan = state.filter.planWrite(
                request.file, offsetBytes: request.offsetBytes, lengthBytes: size, lane: lane)
            guard let token = plan.token else { return (plan, state.lunUse, nil) }
            state.remember(token, request, slot, size)
            return (plan, state.lunUse, state.filter.fillAhead(request.file))
        }
        if let ahead { fillAhead(request.file, ahead) }
        return (plan, lun)
    }

    private func zeroTail(_ slot: FUSESlot, from start: Int, to end: Int) {
        guard start < end else { return }
        slot.buffer[start..<end].initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Whether a request may wait in its slot for a layout or a growth. It goes to the coordinator
    /// instead after a few attempts, where many wait already, and where there is no coordinator: slots
    /// are for I/O that goes on.
    private func mayPark(_ attempts: Int) -> Bool {
        attempts < Self.layoutAttemptsMaximum
            && state.withLock { state in
                !state.isBetweenCoordinators
                    && state.parked.count < MountLimits.parkedInSlotsMaximum
            }
    }

    private func park(
        _ request: DataRequest, _ slot: FUSESlot, attempts: Int, file: FileIndex, _ range: ByteRange
    ) {
        let (tag, handle) = state.withLock { state in
            (
                state.park(ParkedRequest(request: request, attempts: attempts + 1)),
                state.filter.handle(of: file)
            )
        }
        Task {
            await self.obtainLayout(file, handle, range)
            slot.perform(tag: tag)
        }
    }

    func resumed(slot: FUSESlot, tag: UInt64) {
        if tag & Self.directTag != 0 { return called(slot, Int(tag & ~Self.directTag)) }
        guard let parked = state.withLock({ $0.parked.removeValue(forKey: tag) }) else {
            preconditionFailure("a request was resumed twice")
        }
        switch parked.request {
        case .read(let request): start(request, slot, attempts: parked.attempts)
        case .write(let request): start(request, slot, attempts: parked.attempts)
        case .none: preconditionFailure("nothing was parked")
        }
    }

    private func fill(
        _ request: FUSEWriteRequest, _ slot: FUSESlot, attempts: Int, _ blocks: ByteRange
    ) {
        let (tag, handle) = state.withLock { state in
            (
                state.park(ParkedRequest(request: .write(request), attempts: attempts + 1)),
                state.filter.handle(of: request.file)
            )
        }
        Task {
            if await !obtainFill(request.file, handle, blocks) {
                state.withLock { $0.parked[tag]?.attempts = .max }
            }
            slot.perform(tag: tag)
        }
    }

    private func mapAhead(_ file: FileIndex, offsetBytes: UInt64) {
        let (handle, range) = state.withLock { state in
            (
                state.filter.handle(of: file),
                state.filter.mapAhead(file, offsetBytes: offsetBytes)
            )
        }
        // Another reader may have been first.
        guard let range else { return }
        Task { await obtainMapAhead(file, handle, range) }
    }

    private func fillAhead(_ file: FileIndex, _ range: ByteRange) {
        let handle = state.withLock { $0.filter.handle(of: file) }
        Task { await obtainFillAhead(file, handle, range) }
    }

    private func grow(_ request: FUSEWriteRequest, _ slot: FUSESlot, attempts: Int) {
        let (tag, handle) = state.withLock { state in
            (
                state.park(ParkedRequest(request: .write(request), attempts: attempts + 1)),
                state.filter.handle(of: request.file)
            )
        }
        Task {
            let size = UInt64(request.sizeBytes)
            if await !obtainGrowth(request.file, handle, request.offsetBytes + size, size) {
                state.withLock { $0.parked[tag]?.attempts = .max }
            }
            slot.perform(tag: tag)
        }
    }
}

/// The pieces of a plan, one after another in a slot's buffer. What is not on the LUN is zeroed there.
private struct SlotLayout {
    private let segments: [DirectSegment]
    private let buffer: UnsafeMutableRawBufferPointer
    private let lun: LUNUse
    private var position = 0
    private var offset = 0
    /// How many pieces lie on the LUN.
    let count: Int

    init(_ segments: [DirectSegment], in slot: FUSESlot, _ lun: LUNUse) {
        self.segments = segments
        self.lun = lun
        buffer = slot.buffer
        var (count, offset) = (0, 0)
        for segment in segments {
            if segment.lunOffsetBytes == nil {
                buffer[offset..<offset + segment.lengthBytes]
                    .initializeMemory(as: UInt8.self, repeating: 0)
            } else {
                count += 1
            }
            offset += segment.lengthBytes
        }
        self.count = count
    }

    /// The next piece on the LUN, of ``count``.
    mutating func next() -> FUSELUNSegment {
        while segments[position].lunOffsetBytes == nil {
            offset += segments[position].lengthBytes
            position += 1
        }
        let segment = segments[position]
        defer {
            offset += segment.lengthBytes
            position += 1
        }
        return FUSELUNSegment(
            descriptor: lun.descriptor, lunOffsetBytes: segment.lunOffsetBytes ?? 0,
            bufferOffsetBytes: offset, lengthBytes: segment.lengthBytes, mayBlock: lun.mayBlock)
    }
}

extension MountHandler.State {
    /// Where only the lease protects the volume, its end is looked at here: whoever should tell may
    /// have been stopped together with this process (rule lease-from-send).
    var hasLeaseEnded: Bool {
        filter.directUntilNanoseconds != .max
            && MonotonicClock.nowNanoseconds >= filter.directUntilNanoseconds
    }

    /// With the token's lane, or all.
    borrowing func remember(
        _ token: DirectToken, _ request: FUSEWriteRequest, _ slot: FUSESlot, _ size: Int
    ) {
        lanes[token.lane].remember(
            token.position,
            DirectIO(request: .write(request), slot: slot, lengthBytes: size, startTick: tick))
    }

    /// Direct reads and writes that the kernel has not ended.
    var inFlight: Int { lanes.indices.reduce(0) { $0 + lanes[$1].inFlight } }

    /// A direct I/O by its token's number. With all lanes.
    subscript(direct number: Int) -> DirectIO {
        get {
            let token = DirectToken(number: Int32(number))
            return lanes[token.lane].direct[token.position]
        }
        nonmutating _modify {
            let token = DirectToken(number: Int32(number))
            yield &lanes[token.lane].direct[token.position]
        }
    }

    /// The numbers of all that there are or were. With all lanes.
    var directNumbers: [Int] {
        lanes.indices.flatMap { lane in
            lanes[lane].direct.indices.map {
                Int(DirectToken(lane: lane, position: Int32($0)).number)
            }
        }
    }

    mutating func park(_ request: ParkedRequest) -> UInt64 {
        lastTag += 1
        parked[lastTag] = request
        return lastTag
    }
}
