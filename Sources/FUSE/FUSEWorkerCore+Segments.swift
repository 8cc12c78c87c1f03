import IORing
import VolumeModel

/// LUN I/O of a slot, on the worker's thread.
extension FUSEWorkerCore {
    /// Makes room for the segments of one submit.
    func begin(_ index: Int, count: Int, tag: UInt64) {
        precondition(isOnThread, "LUN I/O is submitted on the worker's thread")
        precondition(slots[index].isHeld, "LUN I/O for a slot that was answered")
        precondition(slots[index].outstanding == 0, "a slot has one submit at a time")
        precondition(
            count > 0 && count <= FUSELimits.segmentsPerSlotMaximum, "too many segments, or none")
        if count > slots[index].segmentCapacity {
            slots[index].segments.deallocate()
            slots[index].segments = .allocate(capacity: FUSELimits.segmentsPerSlotMaximum)
            slots[index].segmentCapacity = FUSELimits.segmentsPerSlotMaximum
        }
        slots[index].segmentCount = count
        slots[index].outstanding = count
        slots[index].tag = tag
        counts.pointee.operationsInFlight += count
    }

    func start(
        _ index: Int, number: Int, segment: FUSELUNSegment, operation: FUSESegmentOperation
    ) {
        precondition(
            segment.bufferOffsetBytes >= 0 && segment.lengthBytes > 0
                && segment.bufferOffsetBytes <= FUSELimits.slotBufferBytes
                && segment.lengthBytes <= FUSELimits.slotBufferBytes - segment.bufferOffsetBytes,
            "a segment leaves the slot's buffer")
        (slots[index].segments + number).initialize(
            to: FUSESegmentState(
                lunOffsetBytes: segment.lunOffsetBytes, descriptor: segment.descriptor,
                bufferOffsetBytes: UInt32(segment.bufferOffsetBytes),
                lengthBytes: UInt32(segment.lengthBytes), operation: operation,
                mayBlock: segment.mayBlock))
        queue(index, number)
    }

    func startFlush(_ index: Int, descriptor: Int32) {
        slots[index].segments.initialize(
            to: FUSESegmentState(descriptor: descriptor, operation: .flush))
        queue(index, 0)
    }

    /// Queues what of a segment is still to be done.
    private func queue(_ index: Int, _ number: Int) {
        let segment = slots[index].segments[number]
        let userData = Source.segment.rawValue | UInt64(index) << 8 | UInt64(number) << 32
        let address = buffer(index) + Int(segment.bufferOffsetBytes + segment.doneBytes)
        let length = segment.lengthBytes - segment.doneBytes
        let offset = segment.lunOffsetBytes + UInt64(segment.doneBytes)
        let registered = registeredBuffer(
            index, endBytes: Int(segment.bufferOffsetBytes + segment.lengthBytes))
        switch segment.operation {
        case .read:
            ring.queueRead(
                descriptor: segment.descriptor, into: address, lengthBytes: length,
                offsetBytes: offset, registered: registered,
                async: segment.retries > 0 || segment.mayBlock, userData: userData)
        case .write, .writeDSync:
            ring.queueWrite(
                descriptor: segment.descriptor, from: address, lengthBytes: length,
                offsetBytes: offset, registered: registered,
                dsync: segment.operation == .writeDSync,
                async: segment.retries > 0 || segment.mayBlock, userData: userData)
        case .flush: ring.queueFlush(descriptor: segment.descriptor, userData: userData)
        }
    }

    /// Takes in one completion. The slot, where that was the last of its submit.
    func segmentCompleted(_ completion: IORingCompletion) -> Int? {
        let index = Int(completion.userData >> 8 & 0xff_ffff)
        let number = Int(completion.userData >> 32)
        let segment = slots[index].segments + number
        // Of an abandoned request nothing is sent once more: it may have been done elsewhere since.
        let goesOn = !slots[index].isAbandoned
        if completion.result >= 0 {
            segment.pointee.doneBytes += UInt32(completion.result)
            let isShort = segment.pointee.doneBytes < segment.pointee.lengthBytes
            // Nothing more at the LUN's end; else the rest is asked for.
            if isShort && completion.result > 0 && goesOn {
                queue(index, number)
                return nil
            }
        } else {
            let isPutOff =
                completion.error == .tryAgain || completion.error == .interrupted
            if isPutOff && goesOn && segment.pointee.retries < FUSELimits.segmentRetriesMaximum {
                segment.pointee.retries += 1
                queue(index, number)
                return nil
            }
            segment.pointee.error = completion.result
        }
        counts.pointee.operationsInFlight -= 1
        slots[index].outstanding -= 1
        return slots[index].outstanding == 0 ? index : nil
    }
}
