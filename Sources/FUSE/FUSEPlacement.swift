/// Where the worker of one CPU's queue runs: on that CPU, its home, or on another.
///
/// A request that comes alone is served soonest at home, where nobody need be woken on another CPU. Of
/// many small ones more are served elsewhere: who makes them and who serves them run side by side then,
/// instead of in turns. Not so where the other CPUs' queues have as much to do, nor with large writes,
/// whose data lie in the home's caches. Measured in decision 20.
struct FUSEPlacement {
    /// Many small requests come at once. Changes slowly, so that a moment's quiet moves nothing.
    private(set) var isLoaded = false
    private(set) var isAway = false
    private var votes = 0
    private var taken = 0
    private var takenLargeWrites = 0
    private var waitsLeft = 0

    /// A data request was taken; `writtenBytes` is 0 for a read.
    mutating func took(writtenBytes: UInt32) {
        taken += 1
        if writtenBytes >= FUSELimits.placementLargeWriteBytes { takenLargeWrites += 1 }
    }

    /// Before each wait. `true`: ask how many workers are loaded, then ``decide(loaded:of:)``.
    /// - Parameter held: the requests that have no answer yet.
    mutating func isDue(held: Int) -> Bool {
        if taken > 0 { vote(held: held) }
        guard isLoaded || isAway else { return false }
        waitsLeft -= 1
        guard waitsLeft <= 0 else { return false }
        waitsLeft = FUSELimits.placementWaits
        return true
    }

    private mutating func vote(held: Int) {
        let isMany = max(held, taken) >= FUSELimits.placementRequestsMinimum
        votes += isMany && 2 * takenLargeWrites < taken ? taken : -taken
        votes = min(max(votes, 0), FUSELimits.placementVotes)
        (taken, takenLargeWrites) = (0, 0)
        if votes == 0 && isLoaded || votes == FUSELimits.placementVotes && !isLoaded {
            isLoaded.toggle()
            waitsLeft = 0
        }
    }

    /// Whether the worker has to move, and then ``isAway`` says where to.
    /// - Parameters:
    ///   - loaded: the mount's workers that are, with this one.
    ///   - workers: all of the mount's.
    mutating func decide(loaded: Int, of workers: Int) -> Bool {
        let wasAway = isAway
        isAway = isLoaded && 2 * loaded <= workers
        return isAway != wasAway
    }
}
