/// The cluster network: messages take their time, overtake each other, get lost, and do not pass
/// where it is cut.
final class SimulatedNetwork {
    unowned let simulation: Simulation
    /// Pairs of places between which nothing passes, the store being number 3.
    private var cuts: Set<[Int]> = []
    static let store = 3

    init(simulation: Simulation) { self.simulation = simulation }

    func setCut(_ one: Int, _ other: Int, _ isCut: Bool) {
        let pair = [min(one, other), max(one, other)]
        if isCut { cuts.insert(pair) } else { cuts.remove(pair) }
        simulation.trace("network", "\(pair[0] + 1)-\(pair[1] + 1) \(isCut ? "cut" : "heals")")
    }

    /// Carries a message. Nothing tells the sender that it was lost.
    func send(from: Int, to: Int, _ deliver: @escaping () -> Void) {
        let scenario = simulation.scenario
        if from != to {
            let pair = [min(from, to), max(from, to)]
            if cuts.contains(pair) || simulation.random.chance(scenario.lostMessageChance) {
                return
            }
        }
        simulation.after(delay(from == to), deliver)
    }

    private func delay(_ isLocal: Bool) -> UInt64 {
        let scenario = simulation.scenario
        if !isLocal, simulation.random.chance(scenario.slowMessageChance) {
            return simulation.random.within(.milliseconds(1)...scenario.slowMessageMaximum)
        }
        return simulation.random.within(.microseconds(20) ... .microseconds(isLocal ? 60 : 900))
    }
}
