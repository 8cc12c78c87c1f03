import ClusterStore
import Logging
import Management
import VolumeModel

/// Tells in the events which nodes come and go. Of all nodes that see it, the first by name tells.
actor MemberWitness {
    private let context: NodeContext
    private var known: [String: UInt64]?

    init(context: NodeContext) { self.context = context }

    func look() async {
        guard let entries = try? await context.store.all(prefix: StoreKeys.nodes).entries else {
            return
        }
        var present: [String: UInt64] = [:]
        for entry in entries {
            guard let record = try? entry.decoded(as: NodeRecord.self) else { continue }
            present[String(entry.key.dropFirst(StoreKeys.nodes.count))] = record.incarnation
        }
        let before = known
        known = present
        guard let before else {
            note(joined: context.node)
            return
        }
        let isFirst = present.keys.filter { before[$0] == present[$0] }.min() == context.node
        guard isFirst else { return }
        for (node, incarnation) in before.sorted(by: { $0.key < $1.key })
        where present[node] != incarnation && node != context.node {
            await note(gone: node, incarnation)
        }
    }

    private func note(joined node: String) {
        context.events.note(
            .nodeJoined, node: node, outcome: "up", "\(node) is up in the cluster")
    }

    private func note(gone node: String, _ incarnation: UInt64) async {
        let record = try? await context.store.getJSON(
            StoreKeys.member(node), as: NodeRecord.self)?.value
        if record?.hasLeft == true, record?.incarnation == incarnation {
            context.events.note(
                .nodeLeft, node: node, cause: "its daemon ended in order", outcome: "down",
                "\(node) has left the cluster; it is back when its daemon starts")
        } else {
            context.events.note(
                .nodeLost, .error, node: node, cause: "its membership lapsed", outcome: "lost",
                "\(node) is lost: it did not renew its membership. What it held is given up once it "
                    + "is fenced; look at the machine")
        }
    }
}
