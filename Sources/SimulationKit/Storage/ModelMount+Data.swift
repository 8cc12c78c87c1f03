import VolumeModel

/// fallocate(2)'s modes that the model knows, `linux/falloc.h`.
enum AllocationMode {
    static let allocate: UInt32 = 0
    static let keepSize: UInt32 = 0x01
    static let punch: UInt32 = 0x03
    static let zero: UInt32 = 0x10
}

extension ModelMount {
    func number(_ file: FileHandle) throws(ErrorCode) -> UInt32 {
        guard let number = state.inode(of: file) else { throw .stale }
        return number
    }

    func sizeBytes(_ file: FileHandle) throws(ErrorCode) -> UInt64 {
        state.inodes[try number(file)]?.sizeBytes ?? 0
    }

    /// Writes whole blocks past the page cache, parts of blocks through it.
    func write(_ file: FileHandle, cell start: Int, _ content: [Cell]) throws(ErrorCode) {
        let inode = try number(file)
        try requirePath()
        let oldEnd = Int((state.inodes[inode]?.sizeBytes ?? 0) / Cells.bytes)
        if start > oldEnd { zeroEdge(inode, fromCell: oldEnd) }
        var position = start
        let end = start + content.count
        while position < end {
            let block = position / Cells.perBlock
            let blockEnd = min(end, (block + 1) * Cells.perBlock)
            try makeWritable(inode, block)
            let part = Array(content[position - start..<blockEnd - start])
            let inBlock = position - block * Cells.perBlock
            if part.count == Cells.perBlock, case .written(let place) = mapping(inode, block) {
                pages[PageKey(inode: inode, block: block)] = nil
                lun.store(place, part)
            } else {
                changePage(inode, block, inBlock..<inBlock + part.count, part)
            }
            position = blockEnd
        }
        let size = UInt64(end) * Cells.bytes
        if size > state.inodes[inode]?.sizeBytes ?? 0 { state.inodes[inode]?.sizeBytes = size }
        commitInMemory()
    }

    func read(_ file: FileHandle, cell start: Int, count: Int) throws(ErrorCode) -> [Cell] {
        let inode = try number(file)
        try requirePath()
        let size = Int((state.inodes[inode]?.sizeBytes ?? 0) / Cells.bytes)
        let end = min(start + count, size)
        guard start < end else { return [] }
        var found: [Cell] = []
        for block in start / Cells.perBlock...(end - 1) / Cells.perBlock {
            found += cells(of: inode, block)
        }
        let skip = start % Cells.perBlock
        return Array(found[skip..<skip + end - start])
    }

    func mapping(_ inode: UInt32, _ block: Int) -> FileSystemState.Mapping {
        state.inodes[inode]?.mapping(block) ?? .hole
    }

    func setMapping(_ inode: UInt32, _ block: Int, _ mapping: FileSystemState.Mapping) {
        guard var blocks = state.inodes[inode]?.blocks else { return }
        while blocks.count <= block { blocks.append(.hole) }
        blocks[block] = mapping
        state.inodes[inode]?.blocks = blocks
    }

    /// Allocates a block for writing, converts an unwritten one, and moves a shared one: in a file
    /// with a reflink also others that are written, as XFS does by its `cowextsize`.
    private func makeWritable(_ inode: UInt32, _ block: Int) throws(ErrorCode) {
        switch mapping(inode, block) {
        case .hole:
            let place = try allocate()
            lun.store(place, Array(repeating: 0, count: Cells.perBlock))
            setMapping(inode, block, .written(place))
        case .unwritten(let place):
            lun.store(place, Array(repeating: 0, count: Cells.perBlock))
            setMapping(inode, block, .written(place))
        case .written(let place):
            guard state.inodes[inode]?.isReflinked == true else { return }
            if state.references[place] > 1 || simulation.random.chance(0.5) {
                try move(inode, block, place)
            }
        }
    }

    /// Copy-on-write: the block is somewhere else afterwards.
    func move(_ inode: UInt32, _ block: Int, _ place: Int) throws(ErrorCode) {
        let fresh = try allocate()
        lun.store(fresh, lun.load(place))
        setMapping(inode, block, .written(fresh))
        free(place)
    }

    /// The rest of the block in which a file ends is zeros: the file system sees to it through a page.
    private func zeroEdge(_ inode: UInt32, fromCell cell: Int) {
        let inBlock = cell % Cells.perBlock
        let block = cell / Cells.perBlock
        guard inBlock > 0, case .written = mapping(inode, block) else { return }
        changePage(
            inode, block, inBlock..<Cells.perBlock,
            Array(repeating: 0, count: Cells.perBlock - inBlock))
    }

    /// What a crash does to an append whose size was in the journal and whose data in the page cache, in
    /// the block that the file ended in: ext4 writes them in no order.
    func loseTail(of file: FileHandle, fromBytes start: UInt64) {
        guard let inode = state.inode(of: file) else { return }
        let cell = Int(start / Cells.bytes)
        let block = cell / Cells.perBlock
        let inBlock = cell % Cells.perBlock
        guard inBlock > 0, case .written(let place) = mapping(inode, block) else { return }
        var cells = lun.load(place)
        for index in inBlock..<Cells.perBlock { cells[index] = 0 }
        lun.store(place, cells)
    }

    func truncate(_ file: FileHandle, toSizeBytes size: UInt64) throws(ErrorCode) {
        let inode = try number(file)
        try requirePath()
        let old = state.inodes[inode]?.sizeBytes ?? 0
        let edge = Int(min(old, size) / Cells.bytes)
        zeroEdge(inode, fromCell: edge)
        if size < old {
            let keep = (Int(size / Cells.bytes) + Cells.perBlock - 1) / Cells.perBlock
            let known = state.inodes[inode]?.blocks.count ?? 0
            freeBlocks(of: inode, min(keep, known)..<known)
        }
        state.inodes[inode]?.sizeBytes = size
        commitInMemory()
    }

    private func freeBlocks(of inode: UInt32, _ range: Range<Int>) {
        for block in range {
            if let place = mapping(inode, block).block { free(place) }
            setMapping(inode, block, .hole)
            pages[PageKey(inode: inode, block: block)] = nil
        }
    }

    func allocate(_ file: FileHandle, mode: UInt32, _ range: ByteRange) throws(ErrorCode) {
        let inode = try number(file)
        try requirePath()
        let first = Int(range.startBytes / Cells.bytes)
        let end = Int(range.endBytes / Cells.bytes)
        let wholeStart = (first + Cells.perBlock - 1) / Cells.perBlock
        let wholeEnd = max(wholeStart, end / Cells.perBlock)
        switch mode {
        case AllocationMode.punch, AllocationMode.zero:
            zeroParts(inode, first, end)
            let known = state.inodes[inode]?.blocks.count ?? 0
            freeBlocks(of: inode, min(wholeStart, known)..<min(wholeEnd, known))
            if mode == AllocationMode.zero {
                for block in wholeStart..<wholeEnd {
                    setMapping(inode, block, .unwritten(try allocate()))
                }
            }
        default:
            for block in first / Cells.perBlock..<(end + Cells.perBlock - 1) / Cells.perBlock
            where mapping(inode, block) == .hole {
                setMapping(inode, block, .unwritten(try allocate()))
            }
        }
        if mode & AllocationMode.keepSize == 0,
            range.endBytes > state.inodes[inode]?.sizeBytes ?? 0
        {
            zeroEdge(inode, fromCell: Int((state.inodes[inode]?.sizeBytes ?? 0) / Cells.bytes))
            state.inodes[inode]?.sizeBytes = range.endBytes
        }
        commitInMemory()
    }

    /// Zeros the parts of blocks at the ends of a range, through the page cache.
    private func zeroParts(_ inode: UInt32, _ first: Int, _ end: Int) {
        var position = first
        while position < end {
            let block = position / Cells.perBlock
            let blockEnd = min(end, (block + 1) * Cells.perBlock)
            if blockEnd - position < Cells.perBlock, case .written = mapping(inode, block) {
                let inBlock = position - block * Cells.perBlock
                changePage(
                    inode, block, inBlock..<inBlock + blockEnd - position,
                    Array(repeating: 0, count: blockEnd - position))
            }
            position = blockEnd
        }
    }

    /// The map of a range, up to the end of the file's last block; what is shared by a reflink, or may
    /// move with such a block, is told as shared.
    func map(_ file: FileHandle, _ range: ByteRange, sharesAll: Bool) throws(ErrorCode)
        -> (extents: [Extent], end: UInt64)
    {
        let inode = try number(file)
        try requirePath()
        let size = state.inodes[inode]?.sizeBytes ?? 0
        let last = ByteRange(start: 0, end: size).wholeBlocks(Limits.blockSizeBytes).endBytes
        let end = min(range.endBytes, last)
        var extents: [Extent] = []
        var position = min(range.startBytes, end)
        while position < end {
            let mapping = mapping(inode, Int(position / Limits.blockSizeBytes))
            extents.append(extent(mapping, at: position, sharesAll: sharesAll))
            position += Limits.blockSizeBytes
        }
        return (extents, end)
    }

    private func extent(
        _ mapping: FileSystemState.Mapping, at offset: UInt64, sharesAll: Bool
    ) -> Extent {
        let size = Limits.blockSizeBytes
        switch mapping {
        case .hole:
            return Extent(
                fileOffsetBytes: offset, lunOffsetBytes: 0, lengthBytes: size, state: .hole)
        case .unwritten(let block):
            return Extent(
                fileOffsetBytes: offset, lunOffsetBytes: UInt64(block) * size, lengthBytes: size,
                state: .unwritten)
        case .written(let block):
            let isShared = sharesAll || state.references[block] > 1
            return Extent(
                fileOffsetBytes: offset, lunOffsetBytes: UInt64(block) * size, lengthBytes: size,
                state: isShared ? .shared : .written)
        }
    }

    /// Writes the pages of a range back and drops them (rule clean-before-grant).
    func dropCache(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) {
        let inode = try number(file)
        let first = Int(range.startBytes / Limits.blockSizeBytes)
        let end = range.endBytes == .max ? Int.max : Int(range.endBytes / Limits.blockSizeBytes)
        dropPages(inode, from: first, to: max(first, end), writingBack: true)
    }

    /// Writes zeros that are written, for growth.
    func zeroFill(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) {
        let count = Int(range.lengthBytes / Cells.bytes)
        try write(
            file, cell: Int(range.startBytes / Cells.bytes), Array(repeating: 0, count: count))
    }

    /// Makes the target's blocks the source's own: what nobody outside the protocol may do.
    func reflink(_ source: FileHandle, to target: FileHandle, blocks: Range<Int>)
        throws(ErrorCode)
    {
        let from = try number(source)
        let to = try number(target)
        try requirePath()
        writeBackAll()
        freeBlocks(of: to, blocks)
        for block in blocks {
            guard let place = mapping(from, block).block else { continue }
            state.references[place] += 1
            setMapping(to, block, mapping(from, block))
        }
        state.inodes[from]?.isReflinked = true
        state.inodes[to]?.isReflinked = true
        let end = UInt64(blocks.upperBound) * Limits.blockSizeBytes
        if end > state.inodes[to]?.sizeBytes ?? 0 { state.inodes[to]?.sizeBytes = end }
        commitInMemory()
    }
}
