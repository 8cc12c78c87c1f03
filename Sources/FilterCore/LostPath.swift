/// A path that failed, on its way back.
struct LostPath: Sendable {
    enum Stage: Hashable, Sendable {
        case probing
        /// The path answers.
        case draining(since: UInt64)
        case restoring
        case opening
    }

    var stage = Stage.probing
    /// Writes that may still land.
    var awaiting = 0
    var isProven = false
    var isFencing = false
    var nextFence: UInt64 = 0
    var isProbing = false
    var nextProbe: UInt64

    init(nextProbe: UInt64) { self.nextProbe = nextProbe }

    var needsProof: Bool { awaiting > 0 && !isProven }

    /// Asks for what is due. While the volume is redirected as a whole, nobody touches the LUN.
    mutating func step(
        inFlight: Int, mayProbe: Bool, _ timings: PathTimings, _ now: UInt64,
        _ actions: inout [PathAction]
    ) {
        if needsProof {
            fence(now, &actions)
            return
        }
        switch stage {
        case .probing:
            guard mayProbe, !isProbing, now >= nextProbe else { return }
            isProbing = true
            actions.append(.probe)
        case .draining(let since):
            if inFlight > 0 {
                // A single command was lost: aborted, it ends.
                if now >= since &+ timings.drainNanoseconds, !isProven { fence(now, &actions) }
            } else if mayProbe {
                stage = .restoring
                actions.append(.restore)
            }
        case .restoring, .opening:
            break
        }
    }

    private mutating func fence(_ now: UInt64, _ actions: inout [PathAction]) {
        guard !isFencing, now >= nextFence else { return }
        isFencing = true
        actions.append(.fence)
    }
}
