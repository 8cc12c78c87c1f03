import VolumeModel

/// Data requests that found no free slot, in their order, with copies of their payloads. Bounded.
struct FUSEParkedRequests {
    enum Request {
        case read(FUSEReadRequest)
        /// The payload is the taker's to deallocate.
        case write(FUSEWriteRequest, payload: UnsafeMutableRawPointer)
    }

    struct Parked {
        var context: FUSEContext
        var request: Request
    }

    private var queue: [Parked] = []
    private var head = 0
    private var payloadBytes = 0

    var count: Int { queue.count - head }

    /// The largest request might not fit any more.
    var isFull: Bool {
        count >= FUSELimits.parkedRequestsMaximum
            || payloadBytes > FUSELimits.parkedPayloadMaximumBytes - Limits.payloadMaximumBytes
    }

    mutating func add(_ request: FUSEReadRequest, _ context: FUSEContext) {
        queue.append(Parked(context: context, request: .read(request)))
    }

    mutating func add(
        _ request: FUSEWriteRequest, _ context: FUSEContext, payload: UnsafeRawPointer
    ) {
        let copy = UnsafeMutableRawPointer.allocate(
            byteCount: max(Int(request.sizeBytes), 1), alignment: 16)
        copy.copyMemory(from: payload, byteCount: Int(request.sizeBytes))
        payloadBytes += Int(request.sizeBytes)
        queue.append(Parked(context: context, request: .write(request, payload: copy)))
    }

    mutating func next() -> Parked? {
        guard head < queue.count else { return nil }
        let parked = queue[head]
        head += 1
        if case .write(let request, _) = parked.request { payloadBytes -= Int(request.sizeBytes) }
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return parked
    }

    mutating func removeAll() {
        while let parked = next() {
            if case .write(_, let payload) = parked.request { payload.deallocate() }
        }
    }
}
