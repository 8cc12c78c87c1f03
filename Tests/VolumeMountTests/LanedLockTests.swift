import Locking
import Testing

@Suite struct LanedLockTests {
    /// What is one lane's alone.
    final class Lane: @unchecked Sendable {
        var count = 0
    }

    struct Guarded {
        var first = 0
        var second = 0
        let lanes = (0..<3).map { _ in Lane() }
    }

    /// Whoever looks never sees a change half made, whoever changes sees what all lanes did, and no
    /// step of any is lost.
    @Test func changesAndLanesExcludeEachOther() async {
        let rounds = 20_000
        let lock = Shared(LanedLock(Guarded(), lanes: 3))
        await withTaskGroup(of: Bool.self) { group in
            for lane in 0..<3 {
                group.addTask {
                    (0..<rounds).allSatisfy { _ in
                        lock.value.withLane(lane) { value in
                            value.lanes[lane].count += 1
                            return value.first == value.second
                        }
                    }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    var last = 0
                    return (0..<rounds / 10).allSatisfy { _ in
                        let seen = lock.value.withLock { value in
                            value.first += 1
                            let seen = value.lanes.reduce(0) { $0 + $1.count }
                            value.second += 1
                            return seen
                        }
                        defer { last = seen }
                        return seen >= last
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
        let counts = lock.value.withLock { value in
            [value.first, value.second] + value.lanes.map(\.count)
        }
        #expect(counts == [rounds / 5, rounds / 5, rounds, rounds, rounds])
    }
}

private final class Shared: Sendable {
    let value: LanedLock<LanedLockTests.Guarded>
    init(_ value: consuming LanedLock<LanedLockTests.Guarded>) { self.value = value }
}
