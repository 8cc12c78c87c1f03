import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

/// A read or write of the kernel's.
enum DataRequest: Sendable {
    case none
    case read(FUSEReadRequest)
    case write(FUSEWriteRequest)
}

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
        let plan = state.withLock { state in
            let plan = state.filter.planRead(
                request.file, offsetBytes: request.offsetBytes, lengthBytes: Int(request.sizeBytes))
            switch plan {
            case .direct(let token, _, _, let skip, let length),
                .segments(let token, _, let skip, let length):
                state.remember(
                    token,
                    DirectIO(
                        isWrite: false, skipBytes: skip, lengthBytes: length,
                        request: .read(request)))
            default:
                break
            }
            return plan
        }
        switch plan {
        case .direct(let token, let offset, let blocks, _, _):
            slot.submit(
                read: FUSELUNSegment(
                    descriptor: lun, lunOffsetBytes: offset, bufferOffsetBytes: 0,
                    lengthBytes: blocks),
                tag: UInt64(token.number))
        case .segments(let token, let segments, _, _):
            slot.submit(reads: place(segments, in: slot), tag: UInt64(token.number))
        case .zeros(let length):
            slot.buffer[..<length].initializeMemory(as: UInt8.self, repeating: 0)
            statistics.count(directRead: length)
            slot.replyRead(bufferOffset: 0, length: length)
        case .end:
            slot.replyRead(bufferOffset: 0, length: 0)
        case .needsLayout(let range) where attempts < Self.layoutAttemptsMaximum:
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
        let plan = state.withLock { state in
            let plan = state.filter.planWrite(
                request.file, offsetBytes: request.offsetBytes, lengthBytes: size)
            switch plan {
            case .direct(let token, _, _), .segments(let token, _):
                state.remember(
                    token, DirectIO(isWrite: true, lengthBytes: size, request: .write(request)))
            default:
                break
            }
            return plan
        }
        switch plan {
        case .direct(let token, let offset, let blocks):
            zeroTail(slot, from: size, to: blocks)
            slot.submit(
                write: FUSELUNSegment(
                    descriptor: lun, lunOffsetBytes: offset, bufferOffsetBytes: 0,
                    lengthBytes: blocks),
                dsync: request.isDurable, tag: UInt64(token.number))
        case .segments(let token, let segments):
            zeroTail(slot, from: size, to: segments.reduce(0) { $0 + $1.lengthBytes })
            slot.submit(
                writes: place(segments, in: slot), dsync: request.isDurable,
                tag: UInt64(token.number))
        case .needsLayout(let range) where attempts < Self.layoutAttemptsMaximum:
            park(.write(request), slot, attempts: attempts, file: request.file, range)
        case .extends
        where attempts < Self.layoutAttemptsMaximum && size >= MountLimits.growthMinimumBytes:
            grow(request, slot, attempts: attempts)
        case .needsLayout, .extends, .redirect:
            redirect(request, slot)
        }
    }

    /// Lays the pieces of a plan out one after another in the slot's buffer; what is not on the LUN is
    /// zeroed there.
    private func place(_ segments: [DirectSegment], in slot: FUSESlot) -> [FUSELUNSegment] {
        var offset = 0
        var placed: [FUSELUNSegment] = []
        for segment in segments {
            if let address = segment.lunOffsetBytes {
                placed.append(
                    FUSELUNSegment(
                        descriptor: lun, lunOffsetBytes: address, bufferOffsetBytes: offset,
                        lengthBytes: segment.lengthBytes))
            } else {
                slot.buffer[offset..<offset + segment.lengthBytes]
                    .initializeMemory(as: UInt8.self, repeating: 0)
            }
            offset += segment.lengthBytes
        }
        return placed
    }

    private func zeroTail(_ slot: FUSESlot, from start: Int, to end: Int) {
        guard start < end else { return }
        slot.buffer[start..<end].initializeMemory(as: UInt8.self, repeating: 0)
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {
        let isComplete = results.isComplete
        let token = DirectToken(number: Int32(tag))
        let now = MonotonicClock.nowNanoseconds
        let (io, answers) = state.withLock { state in
            let io = state.direct[Int(tag)]
            let ended = state.filter.ended(token, succeeded: isComplete, nowNanoseconds: now)
            return (io, state.takeTickets(ended))
        }
        for answer in answers { answer.continuation.resume(returning: answer.report) }
        switch (io.request, isComplete) {
        case (.write, true):
            statistics.count(directWrite: io.lengthBytes)
            slot.replyWritten(UInt32(io.lengthBytes))
        case (.read, true):
            statistics.count(directRead: io.lengthBytes)
            slot.replyRead(bufferOffset: io.skipBytes, length: io.lengthBytes)
        case (.read(let request), false):
            redirect(request, slot)
        case (.write, false):
            // Not redirected: a write whose direct attempt failed may still land (failed-before-redirect).
            slot.replyError(results.error ?? .inputOutput)
        case (.none, _):
            preconditionFailure("a direct I/O ended that was never started")
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
        guard let parked = state.withLock({ $0.parked.removeValue(forKey: tag) }) else {
            preconditionFailure("a request was resumed twice")
        }
        switch parked.request {
        case .read(let request): start(request, slot, attempts: parked.attempts)
        case .write(let request): start(request, slot, attempts: parked.attempts)
        case .none: preconditionFailure("nothing was parked")
        }
    }

    private func redirect(_ request: FUSEReadRequest, _ slot: FUSESlot) {
        let handle = state.withLock { $0.filter.handle(of: request.file) }
        let range = ByteRange(offset: request.offsetBytes, length: UInt64(request.sizeBytes))
        Task {
            let answer = await link.call(.read(handle, range))
            switch answer.result {
            case .data:
                let payload = answer.payload ?? ByteBuffer()
                let length = min(payload.readableBytes, Int(request.sizeBytes))
                payload.withUnsafeReadableBytes { bytes in
                    slot.buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
                }
                statistics.count(redirectedRead: length)
                slot.replyRead(bufferOffset: 0, length: length)
            case .failed(let error):
                slot.replyError(error)
            default:
                slot.replyError(.protocolError)
            }
        }
    }

    private func redirect(_ request: FUSEWriteRequest, _ slot: FUSESlot) {
        let handle = state.withLock { $0.filter.handle(of: request.file) }
        var flags: WriteFlags = []
        if request.isAppend { flags.insert(.append) }
        if request.clearsSetID { flags.insert(.clearsSetID) }
        if request.isDurable { flags.insert(.durable) }
        let operation = Operation.write(handle, offsetBytes: request.offsetBytes, flags)
        let payload = ByteBuffer(
            bytes: UnsafeRawBufferPointer(rebasing: slot.buffer[..<Int(request.sizeBytes)]))
        Task {
            let answer = await link.call(operation, payload: payload)
            switch answer.result {
            case .written(_, let length, _):
                statistics.count(redirectedWrite: Int(length))
                slot.replyWritten(length)
            case .failed(let error):
                slot.replyError(error)
            default:
                slot.replyError(.protocolError)
            }
        }
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
            if await obtainGrowth(request.file, handle, request.offsetBytes + size, size) {
                slot.perform(tag: tag)
            } else {
                _ = state.withLock { $0.parked.removeValue(forKey: tag) }
                redirect(request, slot)
            }
        }
    }
}

extension MountHandler.State {
    mutating func remember(_ token: DirectToken, _ io: MountHandler.DirectIO) {
        let index = Int(token.number)
        while direct.count <= index { direct.append(MountHandler.DirectIO()) }
        direct[index] = io
    }

    mutating func park(_ request: ParkedRequest) -> UInt64 {
        lastTag += 1
        parked[lastTag] = request
        return lastTag
    }
}
