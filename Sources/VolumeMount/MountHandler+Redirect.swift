import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

/// A request that the coordinator performs: without a slot, unless too much waits like this already.
private enum RedirectedRequest: Sendable {
    case detached(FUSEDetachedRequest)
    case slot(FUSESlot)

    func replyRead(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .detached(let request):
            request.replyRead(bytes)
        case .slot(let slot):
            slot.buffer.copyMemory(from: bytes)
            slot.replyRead(bufferOffset: 0, length: bytes.count)
        }
    }

    func replyWritten(_ bytes: UInt32) {
        switch self {
        case .detached(let request): request.replyWritten(bytes)
        case .slot(let slot): slot.replyWritten(bytes)
        }
    }

    func replyError(_ code: ErrorCode) {
        switch self {
        case .detached(let request): request.replyError(code)
        case .slot(let slot): slot.replyError(code)
        }
    }
}

/// Reads and writes through the coordinator; on the slot's worker's thread.
extension MountHandler {
    func redirect(_ request: FUSEReadRequest, _ slot: FUSESlot) {
        let length = Int(request.sizeBytes)
        let (handle, isLost, isDetached) = beginRedirected(request.file, length)
        if isLost {
            slot.replyError(.inputOutput)
            return endRedirected(length)
        }
        let redirected: RedirectedRequest =
            isDetached ? .detached(slot.detach()) : .slot(slot)
        let range = ByteRange(offset: request.offsetBytes, length: UInt64(length))
        ask(.read(handle, range)) { [self] answer in
            switch answer.result {
            case .data:
                let payload = answer.payload ?? ByteBuffer()
                let count = min(payload.readableBytes, length)
                statistics.count(redirectedRead: count)
                payload.withUnsafeReadableBytes { bytes in
                    redirected.replyRead(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                }
            case .failed(let error):
                redirected.replyError(error)
            default:
                redirected.replyError(.protocolError)
            }
            endRedirected(length)
        }
    }

    func redirect(_ request: FUSEWriteRequest, _ slot: FUSESlot) {
        redirect(request, slot, payload: payload(of: request, slot))
    }

    func payload(of request: FUSEWriteRequest, _ slot: FUSESlot) -> ByteBuffer {
        ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: slot.buffer[..<Int(request.sizeBytes)]))
    }

    func redirect(_ request: FUSEWriteRequest, _ slot: FUSESlot, payload: ByteBuffer) {
        let size = Int(request.sizeBytes)
        let (handle, isLost, isDetached) = beginRedirected(request.file, size)
        if isLost {
            slot.replyError(.inputOutput)
            return endRedirected(size)
        }
        var flags: WriteFlags = []
        if request.isAppend { flags.insert(.append) }
        if request.clearsSetID { flags.insert(.clearsSetID) }
        if request.isDurable { flags.insert(.durable) }
        let operation = Operation.write(handle, offsetBytes: request.offsetBytes, flags)
        let redirected: RedirectedRequest =
            isDetached ? .detached(slot.detach()) : .slot(slot)
        ask(operation, payload: payload) { [self] answer in
            switch answer.result {
            case .written(_, let length, _):
                statistics.count(redirectedWrite: Int(length))
                redirected.replyWritten(length)
            case .failed(let error):
                redirected.replyError(error)
            default:
                redirected.replyError(.protocolError)
            }
            endRedirected(size)
        }
    }

    /// What waits for the coordinator may wait long: it leaves its slot to others, as long as not too
    /// much does.
    private func beginRedirected(
        _ file: FileIndex, _ length: Int
    ) -> (handle: FileHandle, isLost: Bool, isDetached: Bool) {
        state.withLock { state in
            state.redirectedBytes += length
            return (
                state.filter.handle(of: file), state.filter.isLost(file),
                state.redirectedBytes <= MountLimits.detachedMaximumBytes
            )
        }
    }

    private func endRedirected(_ length: Int) {
        state.withLock { $0.redirectedBytes -= length }
    }
}
