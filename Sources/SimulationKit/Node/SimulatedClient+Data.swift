import FilterCore
import VolumeModel
import VolumeProtocol

/// A write of the kernel's.
struct WriteRequest {
    var cell: Int
    var content: [Cell]
    var isAppend = false
    var ghost: UInt64
    var offsetBytes: UInt64 { UInt64(cell) * Cells.bytes }
    var lengthBytes: Int { content.count * Int(Cells.bytes) }
}

extension SimulatedClient {
    private static let attemptsMaximum = 3

    // MARK: Reads

    func read(
        _ file: OpenFile, cell: Int, count: Int, attempts: Int = 0,
        _ done: @escaping ([Cell]?) -> Void
    ) {
        lookAtLease()
        let plan = filter.planRead(
            file.index, offsetBytes: UInt64(cell) * Cells.bytes,
            lengthBytes: count * Int(Cells.bytes), lane: nextLane())
        let mayAnswer = filter.mayAnswerFromMap(nowNanoseconds: host.clock)
        switch plan {
        case .direct(let token, let offset, let blocks, let skip, let length):
            submitRead(
                token, [DirectSegment(lunOffsetBytes: offset, lengthBytes: blocks)], skip, length,
                file, cell, count, done)
        case .segments(let token, let segments, let skip, let length):
            submitRead(token, segments, skip, length, file, cell, count, done)
        case .zeros(let length) where mayAnswer:
            done(Array(repeating: 0, count: length / Int(Cells.bytes)))
        case .end where mayAnswer:
            done([])
        case .needsLayout(let range) where attempts < Self.attemptsMaximum:
            obtainLayout(file, range) { [self] in
                read(file, cell: cell, count: count, attempts: attempts + 1, done)
            }
        case .needsLayout, .redirect, .zeros, .end:
            redirectRead(file, cell, count, done)
        }
    }

    private func redirectRead(
        _ file: OpenFile, _ cell: Int, _ count: Int, _ done: @escaping ([Cell]?) -> Void
    ) {
        simulation.counts.redirectedReads += 1
        let range = ByteRange(
            offset: UInt64(cell) * Cells.bytes, length: UInt64(count) * Cells.bytes)
        call(.read(file.handle, range)) { result, cells in
            if case .data = result { done(cells) } else { done(nil) }
        }
    }

    private func submitRead(
        _ token: DirectToken, _ segments: [DirectSegment], _ skip: Int, _ length: Int,
        _ file: OpenFile, _ cell: Int, _ count: Int, _ done: @escaping ([Cell]?) -> Void
    ) {
        simulation.counts.directReads += 1
        let flight = DirectFlight(token: token, isWrite: false)
        flight.redirect = { [self] in redirectRead(file, cell, count, done) }
        submit(flight, .read(blocks: segments.flatMap(\.blocks)), direct: nil) {
            [self] status, found in
            lookAtLease()
            let mayDeliver = filter.mayDeliver(flight.token, nowNanoseconds: host.clock)
            release(flight, succeeded: status == .done)
            if flight.isAnswered { return }
            if status != .done {
                failed(flight, status)
            } else if mayDeliver {
                flight.isAnswered = true
                done(assemble(segments, found, skip, length))
            } else {
                flight.answerByRedirecting()
            }
        }
    }

    private func assemble(
        _ segments: [DirectSegment], _ found: [Cell], _ skip: Int, _ length: Int
    ) -> [Cell] {
        var cells: [Cell] = []
        var position = 0
        for segment in segments {
            let count = segment.lengthBytes / Int(Cells.bytes)
            if segment.lunOffsetBytes == nil {
                cells += Array(repeating: 0, count: count)
            } else {
                cells += found[position..<position + count]
                position += count
            }
        }
        let start = skip / Int(Cells.bytes)
        return Array(cells[start..<start + length / Int(Cells.bytes)])
    }

    // MARK: Writes

    /// `done` is told whether the write succeeded, and whether what it wrote lies beyond the end that
    /// others see, where the loss of this node may take it back.
    func write(
        _ file: OpenFile, _ request: WriteRequest, attempts: Int = 0,
        _ done: @escaping (WriteOutcome) -> Void
    ) {
        lookAtLease()
        guard !request.isAppend else {
            redirectWrite(file, request, done)
            return
        }
        let lane = nextLane()
        let plan =
            filter.planWriteAlone(
                file.index, offsetBytes: request.offsetBytes, lengthBytes: request.lengthBytes,
                lane: lane)
            ?? filter.planWrite(
                file.index, offsetBytes: request.offsetBytes, lengthBytes: request.lengthBytes,
                lane: lane)
        switch plan {
        case .direct(let token, let offset, let blocks):
            submitWrite(
                token, [DirectSegment(lunOffsetBytes: offset, lengthBytes: blocks)], file,
                request, done)
        case .segments(let token, let segments):
            submitWrite(token, segments, file, request, done)
        case .needsLayout(let range) where attempts < Self.attemptsMaximum:
            obtainLayout(file, range) { [self] in
                write(file, request, attempts: attempts + 1, done)
            }
        case .extends
        where attempts < Self.attemptsMaximum
            && request.lengthBytes >= Int(Limits.blockSizeBytes):
            let range = ByteRange(
                offset: request.offsetBytes, length: UInt64(request.lengthBytes))
            obtainGrowth(file, range) { [self] isGranted in
                if isGranted {
                    write(file, request, attempts: attempts + 1, done)
                } else {
                    redirectWrite(file, request, done)
                }
            }
        case .fills(let blocks)
        where attempts < Self.attemptsMaximum && simulation.random.chance(0.8):
            obtainFill(file, blocks) { [self] isGranted in
                if isGranted {
                    write(file, request, attempts: attempts + 1, done)
                } else {
                    redirectWrite(file, request, done)
                }
            }
        case .needsLayout, .fills, .extends, .redirect:
            redirectWrite(file, request, done)
        }
    }

    private func redirectWrite(
        _ file: OpenFile, _ request: WriteRequest, _ done: @escaping (WriteOutcome) -> Void
    ) {
        simulation.counts.redirectedWrites += 1
        let flags: WriteFlags = request.isAppend ? .append : []
        call(
            .write(file.handle, offsetBytes: request.offsetBytes, flags), cells: request.content,
            ghost: request.ghost
        ) { [self] result, _ in
            simulation.oracle.acknowledged(request.ghost, result)
            if case .written(let offset, _, let size) = result {
                done(.written(cell: Int(offset / Cells.bytes), sizeBytes: size, isVolatile: false))
            } else {
                done(.failed)
            }
        }
    }

    private func submitWrite(
        _ token: DirectToken, _ segments: [DirectSegment], _ file: OpenFile,
        _ request: WriteRequest, _ done: @escaping (WriteOutcome) -> Void
    ) {
        simulation.counts.directWrites += 1
        let flight = DirectFlight(token: token, isWrite: true)
        flight.redirect = { [self] in redirectWrite(file, request, done) }
        let places = segments.flatMap(\.blocks)
        var content = request.content
        while content.count < places.count * Cells.perBlock { content.append(0) }
        let blocks = places.enumerated().map { index, block in
            (
                block: block,
                cells: Array(
                    content[index * Cells.perBlock..<(index + 1) * Cells.perBlock])
            )
        }
        let claim = ModelLUN.DirectWrite(
            file: file.handle, firstFileBlock: request.cell / Cells.perBlock)
        submit(flight, .data(fileBlocks: blocks), direct: claim) { [self] status, _ in
            guard status == .done else {
                failed(flight, status)
                return
            }
            landedAfterAll(flight)
            let isVolatile = filter.holdsGrowth(file.index)
            release(flight, succeeded: true)
            if flight.isAnswered { return }
            flight.isAnswered = true
            done(
                .written(
                    cell: request.cell,
                    sizeBytes: request.offsetBytes + UInt64(request.lengthBytes),
                    isVolatile: isVolatile))
        }
    }
}

/// How a write ended.
enum WriteOutcome {
    case written(cell: Int, sizeBytes: UInt64, isVolatile: Bool)
    case failed
}

extension DirectSegment {
    /// The blocks of the LUN in this piece.
    var blocks: [Int] {
        guard let lunOffsetBytes else { return [] }
        let first = Int(lunOffsetBytes / Limits.blockSizeBytes)
        return Array(first..<first + lengthBytes / Int(Limits.blockSizeBytes))
    }
}
