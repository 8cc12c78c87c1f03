import VolumeModel
import VolumeProtocol

extension SimulatedProcess {
    private static let fileCellsMaximum = 64

    func read(_ file: OpenFile, _ next: @escaping () -> Void) {
        let cell = simulation.random.below(Self.fileCellsMaximum)
        let count = 1 + simulation.random.below(16)
        let read = oracle.beginRead()
        client.read(file, cell: cell, count: count) { [self] found in
            if let found {
                oracle.endRead(read, file.handle, cell: cell, count: count, found, by: identity)
            } else {
                oracle.abandonRead(read)
            }
            next()
        }
    }

    /// Overwrites within the file.
    func write(_ file: OpenFile, isPart: Bool, _ next: @escaping () -> Void) {
        // Appends from everywhere can make it longer than what is written here.
        let end = min(Int(file.sizeBytes / Cells.bytes), Self.fileCellsMaximum)
        guard end > 0 else {
            extend(file, next)
            return
        }
        var cell = simulation.random.below(end)
        var count = 1 + simulation.random.below(8)
        if !isPart {
            cell = cell / Cells.perBlock * Cells.perBlock
            count = Cells.perBlock * (1 + simulation.random.below(3))
        }
        count = min(count, Self.fileCellsMaximum - cell)
        let isWithin = cell + count <= end
        send(file, cell: cell, count: count, isExclusive: !isWithin, next)
    }

    func extend(_ file: OpenFile, _ next: @escaping () -> Void) {
        let end = Int(file.sizeBytes / Cells.bytes)
        var cell = end
        if simulation.random.chance(0.5) { cell = end / Cells.perBlock * Cells.perBlock }
        if simulation.random.chance(0.2) { cell += simulation.random.below(9) }
        let count = min(1 + simulation.random.below(12), Self.fileCellsMaximum - cell)
        guard count > 0 else {
            truncate(file, next)
            return
        }
        send(file, cell: cell, count: count, isExclusive: true, next)
    }

    private func send(
        _ file: OpenFile, cell: Int, count: Int, isExclusive: Bool, _ next: @escaping () -> Void
    ) {
        file.lock(exclusive: isExclusive) { [self] in
            let tag = newTag()
            let content = (cell..<cell + count).map { tag << 7 | Cell($0) }
            let range = cell..<cell + count
            let number = oracle.beginWrite(file.handle, range) { tag << 7 | Cell($0) }
            let end = UInt64(cell + count) * Cells.bytes
            let mayGrow = true
            if mayGrow { oracle.beginSizeChange(file.handle) }
            client.write(
                file, WriteRequest(cell: cell, content: content, ghost: ghost())
            ) { [self] outcome in
                file.unlock(exclusive: isExclusive)
                switch outcome {
                case .written(_, let size, let isVolatile):
                    file.sizeBytes = max(file.sizeBytes, min(size, end))
                    oracle.endWrite(
                        file.handle, range, number, volatileOwner: isVolatile ? identity : nil)
                    oracle.endSizeChange(file.handle) { max($0, end) }
                case .failed:
                    oracle.endSizeChange(file.handle, nil)
                }
                next()
            }
        }
    }

    private func newTag() -> Cell {
        simulation.lastTag += 1
        return simulation.lastTag
    }

    func append(_ file: OpenFile, _ next: @escaping () -> Void) {
        guard file.sizeBytes < UInt64(Self.fileCellsMaximum - 4) * Cells.bytes else {
            truncate(file, next)
            return
        }
        file.lock(exclusive: true) { [self] in
            // Its cells are not known before it has ended: until then it may be anywhere.
            let tag = newTag()
            let count = 1 + simulation.random.below(4)
            let all = 0..<Oracle.cellsPerFile
            let number = oracle.beginWrite(file.handle, all) { _ in tag << 7 }
            oracle.beginSizeChange(file.handle)
            let request = WriteRequest(
                cell: 0, content: Array(repeating: tag << 7, count: count), isAppend: true,
                ghost: ghost())
            client.report(file) { [self] _ in
                client.write(file, request) { [self] outcome in
                    file.unlock(exclusive: true)
                    if case .written(let cell, let size, _) = outcome {
                        oracle.narrowWrite(file.handle, number, to: cell..<cell + count)
                        oracle.endWrite(
                            file.handle, cell..<cell + count, number, volatileOwner: nil)
                        file.sizeBytes = size
                        oracle.endSizeChange(file.handle) { max($0, size) }
                    } else {
                        oracle.endSizeChange(file.handle, nil)
                    }
                    next()
                }
            }
        }
    }

    func truncate(_ file: OpenFile, _ next: @escaping () -> Void) {
        let cells = simulation.random.below(Self.fileCellsMaximum - 8)
        let size = UInt64(cells) * Cells.bytes
        file.lock(exclusive: true) { [self] in
            let range = cells..<Oracle.cellsPerFile
            let number = oracle.beginWrite(file.handle, range) { _ in 0 }
            oracle.beginSizeChange(file.handle)
            client.truncate(file, toSizeBytes: size, ghost: ghost()) { [self] succeeded in
                file.unlock(exclusive: true)
                if succeeded {
                    file.sizeBytes = size
                    oracle.endWrite(file.handle, range, number, volatileOwner: nil)
                    oracle.endSizeChange(file.handle) { _ in size }
                } else {
                    oracle.endSizeChange(file.handle, nil)
                }
                next()
            }
        }
    }

    func allocate(_ file: OpenFile, _ mode: UInt32, _ next: @escaping () -> Void) {
        let cell = simulation.random.below(Self.fileCellsMaximum - 16)
        let count = 1 + simulation.random.below(15)
        let bytes = ByteRange(
            offset: UInt64(cell) * Cells.bytes, length: UInt64(count) * Cells.bytes)
        let isZeroing = mode == AllocationMode.punch || mode == AllocationMode.zero
        file.lock(exclusive: true) { [self] in
            let range = isZeroing ? cell..<cell + count : 0..<0
            let number = oracle.beginWrite(file.handle, range) { _ in 0 }
            oracle.beginSizeChange(file.handle)
            client.allocate(file, mode: mode, bytes, ghost: ghost()) { [self] succeeded in
                file.unlock(exclusive: true)
                if succeeded {
                    oracle.endWrite(file.handle, range, number, volatileOwner: nil)
                    let keeps = mode & AllocationMode.keepSize != 0
                    oracle.endSizeChange(file.handle) { keeps ? $0 : max($0, bytes.endBytes) }
                } else {
                    oracle.endSizeChange(file.handle, nil)
                }
                next()
            }
        }
    }

    func stat(_ file: OpenFile, _ next: @escaping () -> Void) {
        let epoch = oracle.beginStat(file.handle)
        client.size(file) { [self] size in
            if let size {
                file.sizeBytes = size
                oracle.endStat(file.handle, epoch, size)
            }
            next()
        }
    }

    /// Copies whole blocks from another open file, or within this one, to the same place.
    func copy(_ file: OpenFile, _ next: @escaping () -> Void) {
        guard let source = otherFile(file) else {
            next()
            return
        }
        let first = simulation.random.below(8)
        let count = 1 + simulation.random.below(4)
        let bytes = ByteRange(
            offset: UInt64(first) * Limits.blockSizeBytes,
            length: UInt64(count) * Limits.blockSizeBytes)
        file.lock(exclusive: true) { [self] in
            let range = first * Cells.perBlock..<(first + count) * Cells.perBlock
            let number = oracle.beginWrite(file.handle, range) { _ in nil }
            oracle.beginSizeChange(file.handle)
            let operation = Operation.copyRange(
                source.handle, sourceOffsetBytes: bytes.startBytes, to: file.handle,
                targetOffsetBytes: bytes.startBytes, lengthBytes: bytes.lengthBytes)
            client.report(source) { [self] _ in
                client.report(file) { [self] _ in
                    client.call(operation, ghost: ghost()) { [self] result, _ in
                        file.unlock(exclusive: true)
                        if case .copied(let length) = result {
                            let cells = Int(length / Cells.bytes)
                            let done = range.lowerBound..<range.lowerBound + cells
                            oracle.narrowWrite(file.handle, number, to: done)
                            oracle.endWrite(file.handle, done, number, volatileOwner: nil)
                        }
                        oracle.endSizeChange(file.handle, nil)
                        next()
                    }
                }
            }
        }
    }
}
