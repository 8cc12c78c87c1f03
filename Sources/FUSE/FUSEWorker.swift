import CLinux
import Glibc
import IORing
import VolumeModel

/// One thread's loop: takes requests from its descriptor and hands them to the handler, carries the
/// slots' LUN I/O, and delivers its mailbox. All on one ring and one thread.
///
/// Sound to share: made and run on its own thread; the reference that crosses is for its thread alone.
final class FUSEWorker<Handler: FUSEHandler>: @unchecked Sendable {
    let core: FUSEWorkerCore
    let handler: Handler
    let decoder: FUSEDecoder
    var parked = FUSEParkedRequests()
    private var messages: [FUSEWorkerCore.Message] = []
    /// INTERRUPTs from other workers. They wait until every request that is there was handed out: the
    /// kernel sent theirs before.
    private var interrupts: [FUSEWorkerCore.Message] = []
    /// The device has, or may have, a request; while false the ring watches it.
    private var isDeviceReady = false
    private var settling: [FUSESettling] = []
    private var isDeviceWatched = false
    /// While no request can be taken, only the connection's end is watched for.
    private var endWatch = EndWatch.none
    /// Queues of the ring that ran out of entries are to be looked at.
    private var isBacklogDue = false
    private var isBroken = false
    private var polling = FUSEPolling()
    private var placement = FUSEPlacement()
    /// The CPU of the only queue, where there is one.
    private let home: UInt32?
    private var end: FUSEEndReason?
    private var isEndReported = false

    private enum EndWatch {
        case none
        case armed
        case cancelling
    }

    init(core: FUSEWorkerCore, handler: Handler, decoder: FUSEDecoder, home: UInt32?) {
        self.core = core
        self.handler = handler
        self.decoder = decoder
        self.home = home
        messages.reserveCapacity(2 * core.slotCount)
    }

    /// Returns when the connection is over and every slot was answered.
    func run() {
        core.watchMailbox()
        watchDevice()
        takeAdopted()
        takeEarly()
        while !isDone {
            core.willSubmit()
            do throws(ErrorCode) {
                if (isDeviceReady && !isBlocked) || !settling.isEmpty {
                    try core.ring.submitAndPoll()
                } else {
                    try submitAndWait()
                }
            } catch {
                // The ring was checked when it was made; without it no request can be answered.
                fatalError("io_uring_enter failed on a FUSE worker: \(error)")
            }
            core.noteSubmitted()
            if !settling.isEmpty { settle() }
            core.ring.takeCompletions { handle($0) }
            core.didSubmit()
            if isBacklogDue { lookAtBacklogs() }
            if !interrupts.isEmpty { deliverInterrupts() }
            dispatchParked()
            if isDeviceReady { takeRequests() }
            if end != nil { reportEnd() }
        }
    }

    private func submitAndWait() throws(ErrorCode) {
        if let home, placement.isDue(held: core.counts.pointee.heldCount) { place(home) }
        if polling.mayPoll(operationsInFlight: core.counts.pointee.operationsInFlight) {
            try poll()
            if core.ring.hasCompletions { return }
        }
        try core.ring.submitAndWait()
    }

    private func poll() throws(ErrorCode) {
        var attempt = FUSEPolling.Attempt(at: FUSEPolling.nowNanoseconds)
        repeat {
            try core.ring.submitAndPoll()
            if core.ring.hasCompletions { break }
            sched_yield()
        } while attempt.goesOn(at: FUSEPolling.nowNanoseconds)
        polling.polled(found: core.ring.hasCompletions && attempt.isUndisturbed)
    }

    private func place(_ home: UInt32) {
        let now = covol_fuse_coarse_milliseconds()
        if placement.isLoaded { core.loadedMilliseconds.store(now, ordering: .relaxed) }
        let (loaded, workers) = core.channel.connection.loadedWorkers(at: now)
        guard placement.decide(loaded: loaded, of: workers) else { return }
        // Where a control group forbids it, the worker stays where it is.
        _ = placement.isAway ? covol_fuse_leave_processor(home) : covol_fuse_pin_thread(home)
    }

    /// The end was told, every slot answered, and the kernel has let go of the ring's entries; but
    /// where the device failed without the connection's end it does so with the ring.
    private var isDone: Bool {
        guard isEndReported, core.counts.pointee.heldCount == 0 else { return false }
        if case .failed = end { return true }
        return core.entriesWithKernel == 0
    }

    private func handle(_ completion: IORingCompletion) {
        switch FUSEWorkerCore.Source(rawValue: completion.userData & 0xff) {
        case .device:
            isDeviceWatched = false
            isDeviceReady = end == nil
            // The event was one worker's only, and this one cannot use it.
            if isBlocked { core.channel.connection.wakeOthers(than: core) }
        case .broken:
            endWatch = .none
            // Not where the watch was merely cancelled.
            if completion.result >= 0 && end == nil {
                isBroken = true
                isDeviceReady = true
            }
        case .cancel: break
        case .mailbox:
            core.watchMailbox()
            core.takeMessages(&messages)
            for message in messages { deliver(message) }
            messages.removeAll(keepingCapacity: true)
        case .segment:
            if let index = core.segmentCompleted(completion) {
                let slot = core.slots[index]
                let results = FUSEIOResults(segments: slot.segments, count: slot.segmentCount)
                if slot.isAbandoned {
                    handler.abandoned(tag: slot.tag, results: results)
                    core.endAbandoned(index)
                } else {
                    handler.completed(
                        slot: FUSESlot(core: core, index: index), tag: slot.tag, results: results)
                }
            }
        case .entry:
            if let slot = core.entryCompleted(completion) {
                dispatchEntry(slot)
            } else if end == nil {
                // The device says why.
                isDeviceReady = true
            }
        case .starved: isBacklogDue = true
        case .lost:
            if let slot = core.lostCompleted(completion) { dispatchEntry(slot) }
        case nil: preconditionFailure("a completion that nobody asked for")
        }
    }

    private func deliver(_ message: FUSEWorkerCore.Message) {
        switch message {
        case .resume(let slot, let tag):
            handler.resumed(slot: FUSESlot(core: core, index: Int(slot)), tag: tag)
        case .release(let slot): core.release(Int(slot))
        case .commit(let slot): core.commit(Int(slot))
        case .settle(let settling): self.settling.append(settling)
        case .lookAtDevice: isDeviceReady = end == nil
        case .interrupt: interrupts.append(message)
        }
    }

    private func lookAtBacklogs() {
        isBacklogDue = false
        core.lookAtBacklogs()
    }

    /// After a submit.
    private func settle() {
        for settling in settling { settling.settled(core.requestCounts) }
        settling.removeAll()
    }

    private func deliverInterrupts() {
        for message in interrupts {
            guard case .interrupt(let port, let context, let target, let hops) = message else {
                continue
            }
            interrupt(port, context, target: target, hops: hops)
        }
        interrupts.removeAll(keepingCapacity: true)
    }

    // MARK: Requests

    /// No slot is free, and another worker has one, or no request can be parked any more. One worker
    /// goes on taking requests as long as any can: the last to run out of slots sees that it is.
    private var isBlocked: Bool {
        guard core.counts.pointee.freeCount == 0 && !isBroken else { return false }
        return parked.isFull
            || core.channel.connection.workersWithRoom.load(ordering: .sequentiallyConsistent) > 0
    }

    private func watchDevice() {
        if !isDeviceWatched { core.watchDevice() }
        isDeviceWatched = true
    }

    private func block() {
        guard endWatch == .none else { return }
        endWatch = .armed
        core.watchForEnd()
        // A request wakes one worker: those that could take it must know that this one cannot.
        core.channel.connection.wakeOthers(than: core)
    }

    private func unblock() {
        guard endWatch == .armed else { return }
        endWatch = .cancelling
        core.stopWatchingForEnd()
    }

    private func takeRequests() {
        for _ in 0..<FUSELimits.readsPerPass {
            if isBlocked { return block() }
            unblock()
            let index = core.nextSlot
            let start = core.buffer(index) - FUSELimits.headroomBytes
            let capacity = FUSELimits.headroomBytes + decoder.writeMaximumBytes
            let count = read(core.channel.descriptor, start, capacity)
            if count >= 0 {
                dispatch(UnsafeRawBufferPointer(start: start, count: count), index: index)
                continue
            }
            switch ErrorCode(errno) {
            // ENOENT: the request was aborted while it was being read.
            case .interrupted, .noEntry: continue
            case .tryAgain:
                isDeviceReady = false
                watchDevice()
            case .noDevice: stop(.unmounted)
            case FUSEWorkerCore.connectionAborted: stop(.aborted)
            case let code: stop(.failed(code))
            }
            return
        }
    }

    /// `index`: the slot that the request lies in.
    func dispatch(_ bytes: UnsafeRawBufferPointer, index: Int) {
        var opcode: UInt32 = 0
        do throws(FUSEDecodeError) {
            let header = try FUSERequestHeader(bytes)
            opcode = header.opcode
            core.noteRead(header.context.unique, index)
            let arguments = UnsafeRawBufferPointer(
                rebasing: bytes[FUSERequestHeader.sizeBytes...].prefix(header.argumentBytes))
            switch opcode {
            case FUSEOpcode.read.rawValue:
                take(try decoder.read(arguments), header.context, index)
            case FUSEOpcode.write.rawValue:
                take(try decoder.write(arguments), header.context, index)
            default:
                let request = try decoder.request(opcode: opcode, arguments: arguments)
                let route = core.route(index)
                let port = FUSEReplyPort(
                    route: route, unique: header.context.unique, opcode: opcode)
                // An earlier process had it, and may have carried it out.
                if header.isSentAgain, !FUSEOpcode.isRepeatable(opcode) {
                    if FUSEOpcode.hasReply(opcode) { port.error(.inputOutput) } else { port.none() }
                    return
                }
                if case .entry = route {
                    if let refusal = core.refusal(opcode) {
                        port.error(refusal)
                        return
                    }
                    core.wait(
                        index, use: opcode == FUSEOpcode.setlkw.rawValue ? .lockWaiting : .waiting)
                }
                if case .interrupt(let target) = request {
                    interrupt(port, header.context, target: target, hops: nil)
                } else {
                    handler.received(request, context: header.context, reply: port)
                }
            }
        } catch {
            refuse(bytes, opcode: opcode, error, index: index)
        }
    }

    private func refuse(
        _ bytes: UnsafeRawBufferPointer, opcode: UInt32, _ error: FUSEDecodeError, index: Int
    ) {
        if case .nameTooLong = error {
        } else {
            core.channel.connection.logger.error(
                "malformed FUSE request",
                metadata: ["opcode": "\(opcode)", "reason": "\(error)"])
        }
        guard FUSEOpcode.hasReply(opcode), let unique = FUSERequestHeader.unique(of: bytes) else {
            return
        }
        _ = core.route(index).reply(
            unique: unique, error: -error.reply.number, data: nil, lengthBytes: 0)
    }

    private func take(_ request: FUSEReadRequest, _ context: FUSEContext, _ index: Int) {
        guard index != core.slotCount else { return parked.add(request, context) }
        core.hold(index, unique: context.unique)
        placement.took(writtenBytes: 0)
        handler.received(
            read: request, context: context, slot: FUSESlot(core: core, index: index))
    }

    private func take(_ request: FUSEWriteRequest, _ context: FUSEContext, _ index: Int) {
        guard index != core.slotCount else {
            return parked.add(request, context, payload: core.buffer(index))
        }
        core.hold(index, unique: context.unique)
        placement.took(writtenBytes: request.sizeBytes)
        handler.received(
            write: request, context: context, slot: FUSESlot(core: core, index: index))
    }

    private func dispatchParked() {
        while core.counts.pointee.freeCount > 0, let next = parked.next() {
            let index = core.nextSlot
            switch next.request {
            case .read(let request): take(request, next.context, index)
            case .write(let request, let payload):
                core.buffer(index).copyMemory(
                    from: payload, byteCount: Int(request.sizeBytes))
                payload.deallocate()
                take(request, next.context, index)
            }
        }
    }

    /// Hands an INTERRUPT on, or out where it has been past every worker.
    private func interrupt(
        _ port: FUSEReplyPort, _ context: FUSEContext, target: UInt64, hops: Int?
    ) {
        guard let next = core.channel.connection.next(after: core) else { return port.none() }
        let left = hops ?? next.workers - 1
        if left == 0 {
            handler.received(.interrupt(unique: target), context: context, reply: port)
        } else {
            next.core.post(
                .interrupt(port: port, context: context, target: target, hops: left - 1))
        }
    }

    // MARK: The end

    private func stop(_ reason: FUSEEndReason) {
        isDeviceReady = false
        end = reason
        core.endEntries()
        // The kernel has answered these itself.
        parked.removeAll()
    }

    private func reportEnd() {
        guard let end, !isEndReported, core.counts.pointee.operationsInFlight == 0 else { return }
        isEndReported = true
        guard let reason = core.channel.connection.workerEnded(end) else { return }
        core.channel.connection.logger.info(
            "FUSE connection ended", metadata: ["reason": "\(reason)"])
        handler.ended(reason)
    }
}
