import FilterCore
import Glibc
import NIOCore
import VolumeModel
import VolumeProtocol

/// A direct write that is in flight until it is told to land.
struct HeldWrite: Sendable {
    var token: DirectToken
    var segments: [DirectSegment]
    var bytes: [UInt8]
}

extension FakeNode {
    private static let attemptsMaximum = 3

    // MARK: Layouts

    /// Asks for a layout, and keeps the grant back.
    func fetchLayout(
        _ file: NodeFile, _ range: ByteRange = .everything
    ) async throws -> LayoutGrant {
        switch await call(.layoutGet(file.handle, range)).result {
        case .layout(let grant): return grant
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    @discardableResult
    func apply(_ grant: LayoutGrant, to file: NodeFile) -> Bool {
        state.withLock { $0.filter.apply(grant, to: file.index, asGrowth: false) }
    }

    /// Nil: the coordinator wants the data instead.
    func grow(_ file: NodeFile, _ range: ByteRange) async throws -> LayoutGrant? {
        if state.withLock({ $0.filter.isUnsettled(file.index) }) { try await returnGrowth(file) }
        guard let request = state.withLock({ $0.filter.growthRequest(file.index) }) else {
            return nil
        }
        switch await call(.layoutGrow(file.handle, range)).result {
        case .growth(let grant):
            let isTaken = state.withLock {
                $0.filter.apply(grant, to: file.index, asGrowth: true, request: request)
            }
            return isTaken ? grant : nil
        case .sendData: return nil
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    /// Has holes filled, as much as a mount would ask for. False: the coordinator wants the data.
    func fill(_ file: NodeFile, _ blocks: ByteRange) async throws -> Bool {
        let range = state.withLock { state in
            let range = state.filter.fillRange(file.index, for: blocks)
            state.filter.beginFill(file.index, range)
            return range
        }
        let result = await call(.layoutFill(file.handle, range)).result
        return try state.withLock { state in
            if case .layout(let grant) = result {
                return state.filter.applyFill(grant, to: file.index, for: blocks)
            }
            state.filter.fillFailed(file.index)
            if case .failed(let error) = result { throw error }
            return false
        }
    }

    /// fsync's and close's part in a growth: it goes back.
    func returnGrowth(_ file: NodeFile) async throws {
        let report = await withCheckedContinuation { continuation in
            finish(
                state.withLock { state in
                    let ticket = state.newTicket(continuation)
                    let ended = state.filter.returnGrowth(
                        file.index, ticket: ticket, nowNanoseconds: Self.now)
                    return state.take(ended.map { [$0] } ?? [])
                })
        }
        if report.isEmpty { return }
        try await done(.layoutReturn(file.handle, ByteRange(start: 0, end: 0), report))
        state.withLock { $0.filter.growthReturned(file.index) }
    }

    func ownSize(_ file: NodeFile) -> UInt64? {
        state.withLock { $0.filter.ownSizeBytes(file.handle) }
    }

    // MARK: Reading

    func read(_ file: NodeFile, at offset: UInt64, count: Int) async throws -> [UInt8] {
        for _ in 0..<Self.attemptsMaximum {
            let plan = state.withLock {
                $0.filter.planRead(file.index, offsetBytes: offset, lengthBytes: count)
            }
            switch plan {
            case .direct(let token, let address, let blocks, let skip, let length):
                let segment = DirectSegment(lunOffsetBytes: address, lengthBytes: blocks)
                return try readDirectly(token, [segment], skip, length)
            case .segments(let token, let segments, let skip, let length):
                return try readDirectly(token, segments, skip, length)
            case .zeros(let length): return [UInt8](repeating: 0, count: length)
            case .end: return []
            case .needsLayout(let range):
                apply(
                    try await fetchLayout(file, ByteRange(start: range.startBytes, end: .max)),
                    to: file)
            case .redirect:
                return try await readRedirected(file.handle, at: offset, count: count)
            }
        }
        return try await readRedirected(file.handle, at: offset, count: count)
    }

    func readRedirected(
        _ handle: FileHandle, at offset: UInt64, count: Int
    ) async throws -> [UInt8] {
        let range = ByteRange(offset: offset, length: UInt64(count))
        let answer = await call(.read(handle, range))
        switch answer.result {
        case .data: return answer.payload.map { Array($0.readableBytesView) } ?? []
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    private func readDirectly(
        _ token: DirectToken, _ segments: [DirectSegment], _ skip: Int, _ length: Int
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for segment in segments {
            if let address = segment.lunOffsetBytes {
                bytes += lunBytes(at: address, count: segment.lengthBytes)
            } else {
                bytes += [UInt8](repeating: 0, count: segment.lengthBytes)
            }
        }
        state.withLock { $0.directReads += 1 }
        ended(token)
        return Array(bytes[skip..<(skip + length)])
    }

    /// Bytes of the LUN, in whole blocks.
    func lunBytes(at address: UInt64, count: Int) -> [UInt8] {
        withAligned(count) { memory in
            let got = pread(lun, memory.baseAddress, count, off_t(address))
            precondition(got == count, "the LUN could not be read: errno \(errno)")
            return Array(memory)
        }
    }

    // MARK: Writing

    /// Writes all of it, or throws; longer than a payload it goes in several pieces.
    func write(_ file: NodeFile, at offset: UInt64, _ bytes: [UInt8]) async throws {
        var done = 0
        while done < bytes.count {
            let piece = Array(bytes[done..<min(done + Limits.payloadMaximumBytes, bytes.count)])
            let position = offset + UInt64(done)
            if let held = try await startWrite(file, at: position, piece) {
                land(held)
                done += piece.count
            } else {
                done += try await writeRedirected(file.handle, at: position, piece)
            }
        }
    }

    @discardableResult
    func writeRedirected(
        _ handle: FileHandle, at offset: UInt64, _ bytes: [UInt8], flags: WriteFlags = []
    ) async throws -> Int {
        let answer = await call(.write(handle, offsetBytes: offset, flags), payload: bytes)
        switch answer.result {
        case .written(_, let length, _): return Int(length)
        case .failed(let error): throw error
        case let result: throw UnexpectedResult(result)
        }
    }

    /// Plans a direct write, with layouts and growth as needed, and leaves it in flight. Nil: it has to
    /// go to the coordinator.
    func startWrite(
        _ file: NodeFile, at offset: UInt64, _ bytes: [UInt8]
    ) async throws -> HeldWrite? {
        for _ in 0..<Self.attemptsMaximum {
            let plan = state.withLock {
                $0.filter.planWrite(file.index, offsetBytes: offset, lengthBytes: bytes.count)
            }
            switch plan {
            case .direct(let token, let address, let blocks):
                let segment = DirectSegment(lunOffsetBytes: address, lengthBytes: blocks)
                return HeldWrite(token: token, segments: [segment], bytes: bytes)
            case .segments(let token, let segments):
                return HeldWrite(token: token, segments: segments, bytes: bytes)
            case .needsLayout(let range):
                apply(
                    try await fetchLayout(file, ByteRange(start: range.startBytes, end: .max)),
                    to: file)
            case .fills(let blocks):
                guard try await fill(file, blocks) else { return nil }
            case .extends where bytes.count >= Self.growthMinimumBytes:
                let range = ByteRange(offset: offset, length: UInt64(bytes.count))
                do {
                    guard try await grow(file, range) != nil else { return nil }
                } catch let error as ErrorCode where error == .noSpace {
                    return nil
                }
            case .extends, .redirect:
                return nil
            }
        }
        return nil
    }

    /// The write reaches the LUN; the rest of its last block is zeros.
    func land(_ held: HeldWrite) {
        var bytes = held.bytes
        let total = held.segments.reduce(0) { $0 + $1.lengthBytes }
        bytes += [UInt8](repeating: 0, count: total - bytes.count)
        var done = 0
        for segment in held.segments {
            guard let address = segment.lunOffsetBytes else {
                preconditionFailure("a write was planned into nothing")
            }
            let piece = Array(bytes[done..<(done + segment.lengthBytes)])
            withAligned(piece.count) { memory in
                memory.copyBytes(from: piece)
                let put = pwrite(lun, memory.baseAddress, memory.count, off_t(address))
                precondition(put == memory.count, "the LUN could not be written: errno \(errno)")
            }
            done += segment.lengthBytes
        }
        state.withLock { $0.directWrites += 1 }
        ended(held.token)
    }

    private func ended(_ token: DirectToken) {
        finish(
            state.withLock { state in
                let ended = state.filter.ended(token, succeeded: true, nowNanoseconds: Self.now)
                return state.take(ended)
            })
    }

    private func withAligned<Result>(
        _ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Result
    ) -> Result {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count, alignment: Int(Limits.blockSizeBytes))
        defer { memory.deallocate() }
        return body(memory)
    }
}
