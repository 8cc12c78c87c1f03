import VolumeModel

@testable import ClusterCore

/// Members of one volume with their records: what an action asks for is done or not as a test wants.
struct MemberFixture {
    static let second: UInt64 = 1_000_000_000
    var members: [String: VolumeMember] = [:]
    var records = VolumeRecords()
    var now: UInt64 = 1
    /// What was asked for, by whom, and not answered.
    var open: [(node: String, action: VolumeMemberAction)] = []

    init(_ names: [String], rules: SafetyRules = .all) {
        for (number, name) in names.enumerated() {
            let me = NodeIdentity(name: name, incarnation: Incarnation(UInt64(number) + 1))
            members[name] = VolumeMember(me: me, rules: rules)
            records.members[name] = me.incarnation
        }
    }

    func identity(_ name: String) -> NodeIdentity {
        NodeIdentity(name: name, incarnation: members[name]?.me.incarnation ?? Incarnation(0))
    }

    mutating func send(_ event: VolumeMemberEvent, to name: String) {
        var actions: [VolumeMemberAction] = []
        members[name]?.handle(event, nowNanoseconds: now, into: &actions)
        open += actions.map { (name, $0) }
    }

    /// Tells everybody that lives the records.
    mutating func tell(except absent: Set<String> = []) {
        for name in members.keys.sorted() where !absent.contains(name) {
            send(.records(records), to: name)
        }
    }

    mutating func start(owner: String) {
        records.owner = .init(identity: identity(owner), epoch: Epoch(1), phase: .assigned)
        for name in members.keys.sorted() {
            send(.lease(isValid: true), to: name)
            send(.drained, to: name)
        }
        settle()
    }

    mutating func pass(seconds: UInt64, except absent: Set<String> = []) {
        now += seconds * Self.second
        for name in members.keys.sorted() where !absent.contains(name) { send(.tick, to: name) }
    }

    /// Does everything that is asked for until nothing is, with fences proven or not.
    mutating func settle(provesFences: Bool = true, except absent: Set<String> = []) {
        tell(except: absent)
        for _ in 0..<100 {
            let pending = open.filter { !absent.contains($0.node) }
            open.removeAll { !absent.contains($0.node) }
            if pending.isEmpty { return }
            for (node, action) in pending { perform(action, by: node, provesFences) }
            tell(except: absent)
        }
    }

    private mutating func perform(
        _ action: VolumeMemberAction, by node: String, _ provesFences: Bool
    ) {
        let me = identity(node)
        switch action {
        case .attach:
            records.attachments[node] = .init(incarnation: me.incarnation, hasPath: true)
            // What an action changed in the records comes before its end.
            send(.records(records), to: node)
            send(.attached(true), to: node)
        case .fence(let victim, let scope):
            if provesFences {
                switch scope {
                case .node: records.attachments[victim.name] = nil
                case .path: records.attachments[victim.name]?.hasPath = false
                }
                if records.owner?.identity == victim { records.owner?.phase = .fenced }
            }
            send(.fenced(victim, scope, isProven: provesFences), to: node)
        case .claim(let epoch, let after):
            let isMine = records.owner == after
            if isMine { records.owner = .init(identity: me, epoch: epoch, phase: .assigned) }
            send(.claimed(epoch, isMine), to: node)
        case .mount(let epoch, _):
            send(.mounted(epoch, true), to: node)
        case .announce(let epoch):
            records.owner?.phase = .serving
            send(.announced(epoch, true), to: node)
        case .handOver(let epoch, let target):
            records.owner = .init(
                identity: target, epoch: Epoch(epoch.number + 1), phase: .assigned)
            send(.handedOver(epoch, true), to: node)
        case .abandon(let epoch):
            send(.abandoned(epoch, isProven: true), to: node)
        case .resign(let epoch, let phase):
            if records.owner?.epoch == epoch { records.owner?.phase = phase }
            send(.resigned(epoch, true), to: node)
        case .forget:
            break
        case .openSession(let epoch, _):
            send(.sessionOpened(epoch, true), to: node)
        case .loseEverything:
            send(.lostEverything, to: node)
        }
    }
}
