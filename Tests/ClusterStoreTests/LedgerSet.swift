import ClusterStore
import Synchronization
import Testing

/// Writers that put pairs of keys with rising numbers, and what each of them knows.
final class LedgerSet: Sendable {
    private struct Ledger {
        var acknowledged = 0
        var tried = 0
        var unknown = 0
    }

    private let ledgers: Mutex<[Ledger]>
    private let isStopped = Mutex(false)

    init(count: Int) {
        ledgers = Mutex(Array(repeating: Ledger(), count: count))
    }

    /// The last number of each writer that the store has acknowledged.
    var acknowledged: [Int] { ledgers.withLock { $0.map(\.acknowledged) } }

    var unknown: Int { ledgers.withLock { $0.reduce(0) { $0 + $1.unknown } } }

    func stop() {
        isStopped.withLock { $0 = true }
    }

    func startWriting(_ client: StoreClient) -> [Task<Void, any Error>] {
        acknowledged.indices.map { index in
            Task {
                while !self.isStopped.withLock({ $0 }) { try await self.write(index, client) }
            }
        }
    }

    private func write(_ index: Int, _ client: StoreClient) async throws {
        let number = ledgers.withLock { ledgers in
            ledgers[index].tried += 1
            return ledgers[index].tried
        }
        let value = Array("\(number)".utf8)
        do {
            _ = try await client.transaction(
                success: [.put("\(index)/a", value), .put("\(index)/b", value)])
            ledgers.withLock { $0[index].acknowledged = number }
        } catch StoreError.outcomeUnknown {
            ledgers.withLock { $0[index].unknown += 1 }
        }
    }

    /// Each pair is whole, not older than what was acknowledged, not newer than what was tried.
    func check(_ client: StoreClient, atLeast acknowledged: [Int]) async throws {
        for (index, least) in acknowledged.enumerated() {
            let entries = try await client.range(prefix: "\(index)/").entries
            let tried = ledgers.withLock { $0[index].tried }
            if entries.isEmpty {
                #expect(least == 0, "writer \(index) lost everything")
                continue
            }
            #expect(entries.count == 2)
            #expect(Set(entries.map(\.modRevision)).count == 1, "half a transaction")
            let numbers = entries.map { Int(String(decoding: $0.value, as: UTF8.self)) ?? -1 }
            #expect(numbers[0] == numbers[1], "half a transaction")
            #expect(
                (least...tried).contains(numbers[0]),
                "writer \(index): \(numbers[0]), acknowledged \(least), tried \(tried)")
        }
    }
}
