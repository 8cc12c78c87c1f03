import VolumeModel

/// The model file system, mounted by one coordinator: metadata in memory with a journal behind them, a
/// page cache, and an allocator that hands out what was freed last.
///
/// Its own data writes reach the LUN at once, if the path lets them; metadata only with a commit. A
/// crash keeps a prefix of the transactions.
final class ModelMount {
    struct PageKey: Hashable {
        var inode: UInt32
        var block: Int
    }

    struct Page {
        var cells: [Cell]
        var isDirty: Bool
    }

    unowned let lun: ModelLUN
    unowned let simulation: Simulation
    let node: Int
    let epoch: Epoch
    var state: FileSystemState
    /// What the transactions since the last durable one have made, oldest first.
    private(set) var tail: [FileSystemState] = []
    private(set) var durableVersion: UInt64
    var pages: [PageKey: Page] = [:]
    var freeBlocks: [Int]
    /// Freed by transactions that are not durable: not to be handed out, or a crash would bring them
    /// back with somebody else's data.
    var busyBlocks: [(version: UInt64, block: Int)] = []
    private(set) var isOver = false

    /// Mounts what a journal's replay finds, or, with the broken rule, what an earlier mount left in
    /// the device's page cache.
    init(lun: ModelLUN, node: Int, epoch: Epoch, state: FileSystemState) {
        self.lun = lun
        simulation = lun.simulation
        self.node = node
        self.epoch = epoch
        var replayed = state
        replayed.freeOrphans()
        self.state = replayed
        durableVersion = state.version
        freeBlocks = replayed.references.indices.filter { replayed.references[$0] == 0 }.reversed()
    }

    /// Ends a transaction.
    func commitInMemory() {
        state.version += 1
        tail.append(state)
        if tail.count > 64 { tail.removeFirst() }
    }

    /// Adds to the last transaction what the checks want to know of it.
    func amend(_ change: (inout FileSystemState) -> Void) {
        change(&state)
        if !tail.isEmpty { change(&tail[tail.count - 1]) }
    }

    var isPathUsable: Bool {
        !isOver && lun.paths[node].fault == .none && lun.isRegistered(node)
    }

    /// Every access to the LUN asks first.
    func requirePath() throws(ErrorCode) {
        guard isPathUsable else { throw .inputOutput }
        simulation.checkCoordinator(epoch, "uses the LUN")
    }

    /// Writes everything back and commits; calls back when what is there now is durable.
    func flush(_ completion: @escaping (Bool) -> Void) {
        guard isPathUsable else {
            simulation.after(.microseconds(300)) { completion(false) }
            return
        }
        writeBackAll()
        let snapshot = state
        lun.submit(node: node, .metadata(snapshot, epoch)) { [self] status, _ in
            guard status == .done else {
                completion(false)
                return
            }
            becameDurable(snapshot.version)
            completion(true)
        }
    }

    private func becameDurable(_ version: UInt64) {
        guard version > durableVersion else { return }
        durableVersion = version
        tail.removeAll { $0.version <= version }
        let free = busyBlocks.filter { $0.version <= version }.map(\.block)
        busyBlocks.removeAll { $0.version <= version }
        freeBlocks += free.filter { state.references[$0] == 0 }
    }

    /// The machine has lost power, or the mount was shut down without a flush: of what was not
    /// durable the journal has some transactions, from the first on, or none.
    func crash() {
        guard !isOver else { return }
        isOver = true
        guard lun.mountedEpoch == epoch, lun.isRegistered(node), !tail.isEmpty,
            lun.paths[node].fault == .none
        else { return }
        let kept = simulation.random.below(tail.count + 1)
        if kept > 0, tail[kept - 1].version > lun.metadata.version {
            writeBackAll()
            lun.metadata = tail[kept - 1]
        }
    }

    /// A clean unmount: everything is on the LUN.
    func unmounted() { isOver = true }

    // MARK: Blocks

    func allocate() throws(ErrorCode) -> Int {
        guard let block = freeBlocks.popLast() else { throw .noSpace }
        state.references[block] += 1
        return block
    }

    func free(_ block: Int) {
        state.references[block] -= 1
        if state.references[block] == 0 { busyBlocks.append((state.version + 1, block)) }
    }

    // MARK: Page cache

    /// A block as the file system reads it: from the page cache where it has it.
    func cells(of inode: UInt32, _ block: Int) -> [Cell] {
        if let page = pages[PageKey(inode: inode, block: block)] { return page.cells }
        if case .written(let place)? = state.inodes[inode]?.mapping(block) {
            return lun.load(place)
        }
        return Array(repeating: 0, count: Cells.perBlock)
    }

    /// Changes cells of a block through the page cache.
    func changePage(_ inode: UInt32, _ block: Int, _ range: Range<Int>, _ content: [Cell]) {
        var cells = cells(of: inode, block)
        cells.replaceSubrange(range, with: content)
        pages[PageKey(inode: inode, block: block)] = Page(cells: cells, isDirty: true)
    }

    func dropPages(_ inode: UInt32, from block: Int, to end: Int = .max, writingBack: Bool) {
        for key in pages.keys where key.inode == inode && key.block >= block && key.block < end {
            if writingBack { writeBack(key) }
            pages[key] = nil
        }
    }

    func writeBack(_ key: PageKey) {
        guard let page = pages[key], page.isDirty else { return }
        pages[key]?.isDirty = false
        guard case .written(let place)? = state.inodes[key.inode]?.mapping(key.block) else {
            return
        }
        lun.store(place, page.cells)
    }

    func writeBackAll() {
        for key in pages.keys { writeBack(key) }
    }
}
