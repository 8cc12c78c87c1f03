import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

private typealias Fixture = LockTableFixture

/// The lock table as one entry per file, byte and owner.
private struct ByteModel {
    struct Place: Hashable {
        var file: UInt8
        var byte: Int
    }
    struct Held {
        var type: LockType
        var open: UInt64
    }
    struct Waiter {
        var token: UInt64
        var owner: LockOwner
        var request: LockRequest
        var file: UInt8
        var overtakes: Bool
    }

    static let size = 12
    var held: [Place: [LockOwner: Held]] = [:]
    var processes: [UInt8: [LockOwner: UInt32]] = [:]
    var waiters: [Waiter] = []

    func places(_ request: LockRequest, _ file: UInt8) -> [Place] {
        let whole = request.kind == .flock
        let first = whole ? 0 : Int(request.startBytes)
        let last = whole ? Self.size - 1 : Int(request.lastBytes)
        return (first...last).map { Place(file: file, byte: $0) }
    }

    func blockers(_ request: LockRequest, _ file: UInt8, _ owner: LockOwner) -> Set<LockOwner> {
        var found: Set<LockOwner> = []
        for place in places(request, file) {
            for (other, lock) in held[place] ?? [:]
            where other != owner && other.kind == owner.kind
                && (lock.type == .write || request.type == .write)
            {
                found.insert(other)
            }
        }
        return found
    }

    func queues(_ request: LockRequest, _ file: UInt8, _ owner: LockOwner, among: [Waiter]) -> Bool
    {
        let mine = Set(places(request, file))
        return among.contains {
            $0.owner != owner && $0.owner.kind == owner.kind
                && ($0.request.type == .write || request.type == .write)
                && !mine.isDisjoint(with: places($0.request, $0.file))
        }
    }

    func holds(_ file: UInt8, _ owner: LockOwner) -> Bool {
        held.contains { $0.key.file == file && $0.value[owner] != nil }
    }

    func overtakes(_ request: LockRequest, _ file: UInt8, _ owner: LockOwner) -> Bool {
        held.contains { place, owners in
            owners.keys.contains {
                $0.session == owner.session
                    && (place.file == file
                        || processes[place.file]?[$0] == request.processID)
            }
        }
    }

    mutating func apply(_ request: LockRequest, _ file: UInt8, _ owner: LockOwner) {
        for place in places(request, file) {
            held[place, default: [:]][owner] =
                request.type == .unlock
                ? nil : Held(type: request.type, open: request.open.number)
        }
        if request.type != .unlock { processes[file, default: [:]][owner] = request.processID }
    }

    mutating func lock(
        _ request: LockRequest, _ file: UInt8, _ owner: LockOwner, _ token: UInt64
    ) -> LockOutcome {
        if request.type == .unlock {
            apply(request, file, owner)
            return .granted
        }
        var converts = false
        if request.kind == .flock, let old = held[Place(file: file, byte: 0)]?[owner] {
            if old.type == request.type { return .granted }
            var unlock = request
            unlock.type = .unlock
            apply(unlock, file, owner)
            converts = true
        }
        let passes = converts || !request.waits || overtakes(request, file, owner)
        if blockers(request, file, owner).isEmpty,
            passes || !queues(request, file, owner, among: waiters)
        {
            apply(request, file, owner)
            return .granted
        }
        guard request.waits else { return .conflict }
        if request.kind == .record {
            var reached = blockers(request, file, owner)
            while true {
                let next = waiters.filter { reached.contains($0.owner) }
                    .reduce(reached) { $0.union(blockers($1.request, $1.file, $1.owner)) }
                if next == reached { break }
                reached = next
            }
            if reached.contains(owner) { return .deadlock }
        }
        waiters.append(
            Waiter(token: token, owner: owner, request: request, file: file, overtakes: passes))
        return .waiting
    }

    mutating func grant() -> [UInt64] {
        var granted: [UInt64] = []
        while let index = waiters.indices.first(where: { index in
            let waiter = waiters[index]
            return blockers(waiter.request, waiter.file, waiter.owner).isEmpty
                && (waiter.overtakes
                    || !queues(
                        waiter.request, waiter.file, waiter.owner,
                        among: Array(waiters[..<index])))
        }) {
            let waiter = waiters.remove(at: index)
            apply(waiter.request, waiter.file, waiter.owner)
            granted.append(waiter.token)
        }
        return granted
    }

    mutating func drop(_ file: UInt8?, where isDropped: (LockOwner, UInt64) -> Bool) {
        for place in held.keys where file == nil || place.file == file {
            held[place] = held[place]?.filter { !isDropped($0.key, $0.value.open) }
        }
    }
}

@Suite struct LockTableModelTests {
    @Test(arguments: 0..<12)
    func agreesWithAModel(salt: Int) {
        let seed = UInt64(salt) &+ 9000
        print("LockTableModelTests seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var table = LockTable()
        var model = ByteModel()
        let nodes = [Fixture.node1, Fixture.node2, Fixture.node3]
        var seen: Set<LockOutcome> = []
        var grants = 0
        var queued = 0
        for step in 0..<3000 {
            let session = nodes.randomElement(using: &random) ?? Fixture.node1
            let number = UInt64.random(in: 1...3, using: &random)
            let file = UInt8.random(in: 1...2, using: &random)
            let open = UInt64.random(in: 1...2, using: &random)
            let token = UInt64(step)
            var found: [UInt64] = []
            var expected: [UInt64] = []
            var isSame = true
            switch Int.random(in: 0..<40, using: &random) {
            case 0:
                found = table.releaseOwner(
                    file: Fixture.file(file), session: session, owner: number)
                model.drop(file) { owner, _ in
                    owner.session == session && owner.number == number && owner.kind == .record
                }
            case 1:
                let release = table.releaseOpen(
                    file: Fixture.file(file), session: session, open: OpenID(open))
                found = release.grantedTokens
                let ended = model.waiters.filter {
                    $0.file == file && $0.owner.session == session
                        && $0.request.open.number == open
                }.map(\.token)
                model.waiters.removeAll { ended.contains($0.token) }
                model.drop(file) { owner, of in owner.session == session && of == open }
                isSame = release.endedTokens == ended
            case 2:
                found = table.endSession(session)
                model.waiters.removeAll { $0.owner.session == session }
                model.drop(nil) { owner, _ in owner.session == session }
            case 3...4:
                let target = model.waiters.randomElement(using: &random)?.token ?? UInt64.max
                let release = table.cancel(target)
                isSame = (release != nil) == model.waiters.contains { $0.token == target }
                model.waiters.removeAll { $0.token == target }
                found = release?.grantedTokens ?? []
            default:
                let request = randomRequest(number, file, open, using: &random)
                let owner = LockOwner(session: session, number: number, kind: request.kind)
                let conflict = table.test(request, session: session)
                let isFree =
                    request.type == .unlock || model.blockers(request, file, owner).isEmpty
                let reply = table.lock(request, session: session, token: token)
                found = reply.grantedTokens
                seen.insert(reply.outcome)
                let outcome = model.lock(request, file, owner, token)
                isSame = reply.outcome == outcome && (conflict == nil) == isFree
            }
            expected = model.grant()
            grants += found.count
            queued += model.waiters.count {
                model.blockers($0.request, $0.file, $0.owner).isEmpty
            }
            guard isSame, found.sorted() == expected.sorted(), agree(table, model, nodes) else {
                Issue.record("differs at step \(step) of seed \(seed)")
                return
            }
        }
        #expect(seen == [.granted, .conflict, .waiting, .deadlock])
        // Else the run did not reach what it is for.
        #expect(grants > 40 && queued > 0)
    }

    private func randomRequest(
        _ number: UInt64, _ file: UInt8, _ open: UInt64, using random: inout SeededGenerator
    ) -> LockRequest {
        let start = UInt64.random(in: 0..<UInt64(ByteModel.size), using: &random)
        let end = UInt64.random(in: start..<UInt64(ByteModel.size), using: &random)
        let types: [LockType] = [.read, .write, .unlock, .unlock]
        return Fixture.request(
            types.randomElement(using: &random) ?? .read, start, end, owner: number, file: file,
            kind: Int.random(in: 0..<4, using: &random) == 0 ? .flock : .record, open: open,
            process: UInt32.random(in: 1...3, using: &random),
            waits: Bool.random(using: &random))
    }

    private func agree(_ table: LockTable, _ model: ByteModel, _ nodes: [NodeIdentity]) -> Bool {
        var count = 0
        for session in nodes {
            for lock in table.locks(of: session) {
                let file = lock.file.bytes[0]
                let owner = LockOwner(session: session, number: lock.owner, kind: lock.kind)
                for place in model.places(lock, file) {
                    guard let held = model.held[place]?[owner], held.type == lock.type,
                        held.open == lock.open.number
                    else { return false }
                    count += 1
                }
            }
        }
        return count == model.held.values.reduce(0) { $0 + $1.count }
            && table.rangeCount == nodes.reduce(0) { $0 + table.locks(of: $1).count }
            && table.waiterCount == model.waiters.count
            && table.isLocked(Fixture.file(1))
                == (model.waiters.contains { $0.file == 1 }
                    || model.held.contains { $0.key.file == 1 && !$0.value.isEmpty })
    }
}
