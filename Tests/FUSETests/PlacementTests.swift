import Testing

@testable import FUSE

@Suite struct PlacementTests {
    /// `passes` times: a batch of requests is taken, then comes a wait. The answers to the last.
    private func pass(
        _ placement: inout FUSEPlacement, passes: Int, requests: Int, writtenBytes: UInt32 = 0,
        held: Int
    ) -> Bool {
        var isDue = false
        for _ in 0..<passes {
            for _ in 0..<requests { placement.took(writtenBytes: writtenBytes) }
            isDue = placement.isDue(held: held)
        }
        return isDue
    }

    private func loaded() -> FUSEPlacement {
        var placement = FUSEPlacement()
        _ = pass(&placement, passes: FUSELimits.placementVotes, requests: 1, held: 32)
        return placement
    }

    @Test(arguments: [
        (requests: 1, held: 1, bytes: UInt32(0), isLoaded: false),
        (requests: 1, held: FUSELimits.placementRequestsMinimum, bytes: 0, isLoaded: true),
        (requests: FUSELimits.placementRequestsMinimum, held: 0, bytes: 0, isLoaded: true),
        (requests: 1, held: 32, bytes: 4096, isLoaded: true),
        (requests: 1, held: 32, bytes: FUSELimits.placementLargeWriteBytes, isLoaded: false),
    ])
    func manySmallRequestsLoad(requests: Int, held: Int, bytes: UInt32, isLoaded: Bool) {
        var placement = FUSEPlacement()
        _ = pass(
            &placement, passes: FUSELimits.placementVotes, requests: requests,
            writtenBytes: bytes, held: held)
        #expect(placement.isLoaded == isLoaded)
    }

    @Test func aMomentChangesNothing() {
        var placement = FUSEPlacement()
        let early = pass(
            &placement, passes: FUSELimits.placementVotes - 1, requests: 1, held: 32)
        #expect(!early && !placement.isLoaded)
        let atLast = pass(&placement, passes: 1, requests: 1, held: 32)
        #expect(atLast && placement.isLoaded)
        // Nor does a moment of few requests, once it is.
        _ = pass(&placement, passes: FUSELimits.placementVotes - 1, requests: 1, held: 1)
        #expect(placement.isLoaded)
        _ = pass(&placement, passes: 1, requests: 1, held: 1)
        #expect(!placement.isLoaded)
    }

    /// A worker without requests hears of completions alone, which say nothing of where to be.
    @Test func waitsWithoutRequestsCountNothing() {
        var placement = loaded()
        _ = pass(&placement, passes: 10 * FUSELimits.placementVotes, requests: 0, held: 0)
        #expect(placement.isLoaded)
    }

    @Test(arguments: [
        (loaded: 1, workers: 1, isAway: false),
        (loaded: 1, workers: 2, isAway: true),
        (loaded: 2, workers: 2, isAway: false),
        (loaded: 2, workers: 4, isAway: true),
        (loaded: 3, workers: 4, isAway: false),
    ])
    func leavesWhereAtMostHalfAreLoaded(loaded: Int, workers: Int, isAway: Bool) {
        var placement = self.loaded()
        let moves = placement.decide(loaded: loaded, of: workers)
        #expect(moves == isAway && placement.isAway == isAway)
    }

    @Test func comesHomeWhenOthersLoadOrThisOneNoLonger() {
        for isOwnLoadOver in [false, true] {
            var placement = loaded()
            let leaves = placement.decide(loaded: 1, of: 2)
            let again = placement.decide(loaded: 1, of: 2)
            #expect(leaves && !again)
            if isOwnLoadOver {
                let isDue = pass(
                    &placement, passes: FUSELimits.placementVotes, requests: 1, held: 1)
                #expect(isDue)
            }
            let returns = placement.decide(loaded: isOwnLoadOver ? 0 : 2, of: 2)
            #expect(returns && !placement.isAway)
        }
    }

    /// The others are looked up at once when this one's load begins, then once in many waits.
    @Test func asksRarely() {
        var placement = loaded()
        var due: [Int] = []
        for wait in 1...3 * FUSELimits.placementWaits {
            if pass(&placement, passes: 1, requests: 1, held: 32) { due.append(wait) }
        }
        #expect(due == [1, 2, 3].map { $0 * FUSELimits.placementWaits })
    }
}
