import ClusterCore
import VolumeModel

/// What goes wrong in a run, and when it is made good again.
final class Faults {
    unowned let simulation: Simulation

    init(simulation: Simulation) { self.simulation = simulation }

    func schedule() {
        let period = simulation.scenario.faultPeriod
        guard period > 0 else { return }
        simulation.after(simulation.random.within(period / 4...period * 2)) { [self] in
            strike()
            schedule()
        }
    }

    private func strike() {
        let fault = simulation.random.pick(weighted: simulation.scenario.faults)
        // The coordinator's node is hit as often as the others together.
        let owner = simulation.store.owner?.identity.name
        let coordinator = simulation.nodes.first { $0.name == owner }
        let node =
            simulation.random.chance(0.5)
            ? coordinator ?? simulation.nodes[0] : simulation.random.pick(simulation.nodes)
        let short = simulation.random.within(.milliseconds(50) ... .milliseconds(900))
        let long = simulation.random.within(.milliseconds(1000) ... .milliseconds(6000))
        switch fault {
        case .hostPower:
            strikeWhileChanging(node) { [simulation] node in
                node.losePower()
                simulation.after(short + .milliseconds(300)) { node.start() }
            }
        case .daemonKill:
            let soon = simulation.random.within(.milliseconds(1) ... .milliseconds(80))
            let pause = simulation.random.chance(0.6) ? soon : short
            strikeWhileChanging(node) { [simulation] node in
                node.kill()
                simulation.after(pause) { node.start() }
            }
        case .daemonPause:
            node.pause()
            simulation.after(short) { node.resume() }
        case .longPause:
            node.pause()
            simulation.after(long) { node.resume() }
        case .pathFail, .pathHang:
            let index = node.index
            simulation.lun.setFault(fault == .pathFail ? .failing : .hanging, node: index)
            let length = simulation.random.chance(0.5) ? short : long
            simulation.after(length) { [simulation] in
                simulation.lun.setFault(.none, node: index)
            }
        case .partition:
            cut([(node.index, (node.index + 1) % 3)], simulation.random.chance(0.5) ? short : long)
        case .isolate:
            let others = [0, 1, 2, SimulatedNetwork.store].filter { $0 != node.index }
            let kept = simulation.random.chance(0.3) ? simulation.random.pick(others) : -1
            cut(
                others.filter { $0 != kept }.map { (node.index, $0) },
                simulation.random.chance(0.3) ? short : long)
        case .stranded:
            let index = node.index
            simulation.lun.setFault(.hanging, node: index)
            simulation.after(long) { [simulation] in
                simulation.lun.setFault(.none, node: index)
            }
            let others = [0, 1, 2, SimulatedNetwork.store].filter { $0 != index }
            cut(others.map { (index, $0) }, long + simulation.random.within(0...short))
        case .hungRestart:
            let index = node.index
            simulation.lun.setFault(.hanging, node: index)
            let life = simulation.random.within(.milliseconds(10) ... .milliseconds(300))
            simulation.after(life) { node.kill() }
            simulation.after(life + .milliseconds(30)) { node.start() }
            let healed = life + simulation.random.within(.milliseconds(1)...short)
            simulation.after(healed) { [simulation] in
                simulation.lun.setFault(.none, node: index)
            }
        case .move:
            let target = simulation.random.pick(simulation.nodes)
            simulation.trace("operator", "move to \(target.name)")
            simulation.store.owner?.moveTarget = target.name
        }
    }

    /// Strikes a node; or, as often, the one that coordinates, when a change is on its way to the journal:
    /// by chance alone that moment is hardly ever met.
    private func strikeWhileChanging(
        _ node: SimulatedHost, _ strike: @escaping (SimulatedHost) -> Void
    ) {
        let acting = simulation.nodes.first { $0.coordinator != nil }
        guard simulation.random.chance(0.5), let acting, let coordinator = acting.coordinator else {
            return strike(node)
        }
        coordinator.strikeAtChange = { strike(acting) }
    }

    private func cut(_ pairs: [(Int, Int)], _ length: UInt64) {
        for (one, other) in pairs { simulation.network.setCut(one, other, true) }
        simulation.after(length) { [simulation] in
            for (one, other) in pairs { simulation.network.setCut(one, other, false) }
        }
    }
}

extension Simulation {
    /// The file system as the run finds it: some files with data, and two that a reflink has made share
    /// blocks before the volume came to the cluster.
    func prepareVolume() {
        var state = FileSystemState(blocks: ModelLUN.blockCount)
        state.inodes[ModelMount.rootInode] = FileSystemState.Inode(generation: 0)
        var block = 0
        for index in 0..<scenario.fileCount {
            let number = ModelMount.rootInode + 1 + UInt32(index)
            state.lastGeneration += 1
            var inode = FileSystemState.Inode(generation: state.lastGeneration)
            let blocks = 4 + random.below(8)
            for _ in 0..<blocks {
                inode.blocks.append(.written(block))
                state.references[block] = 1
                block += 1
            }
            inode.sizeBytes =
                UInt64(blocks) * Limits.blockSizeBytes - UInt64(random.below(4)) * Cells.bytes
            state.inodes[number] = inode
            state.names[[UInt8(0x61 + index)]] = number
        }
        if random.chance(0.3) { shareBlocks(&state) }
        state.version = 1
        lun.metadata = state
    }

    private func shareBlocks(_ state: inout FileSystemState) {
        let first = ModelMount.rootInode + 1
        guard let source = state.inodes[first], state.inodes[first + 1] != nil else { return }
        for mapping in state.inodes[first + 1]?.blocks ?? [] {
            if let block = mapping.block { state.references[block] -= 1 }
        }
        for mapping in source.blocks {
            if let block = mapping.block { state.references[block] += 1 }
        }
        state.inodes[first + 1]?.blocks = source.blocks
        state.inodes[first + 1]?.sizeBytes = source.sizeBytes
        state.inodes[first]?.isReflinked = true
        state.inodes[first + 1]?.isReflinked = true
    }
}
