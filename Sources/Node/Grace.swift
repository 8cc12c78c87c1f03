import Synchronization
import VolumeProtocol

/// The time after a coordinator's start in which the nodes that were attached before come back and
/// tell what they have open. Until every one has, nothing else is done: it might free or move what
/// one of them still reads and writes directly. A node that does not come holds it up; only its
/// detaching ends that.
final class Grace: Sendable {
    /// Nodes that have not told everything yet.
    private let waitingFor = Mutex<Set<String>>([])

    func begin(waitingFor nodes: [String]) { waitingFor.withLock { $0 = Set(nodes) } }

    /// The first node that is missing, in words; nil: the grace is over.
    var missing: String? { waitingFor.withLock { $0.sorted().first } }

    /// Holds a request back until the grace is over, but for those that belong to it: opens, and the
    /// question for the root, with which a node says that it has told everything.
    func wait(for operation: VolumeProtocol.Operation, of node: String) async {
        switch operation {
        case .open:
            return
        case .root:
            waitingFor.withLock { _ = $0.remove(node) }
            return
        default:
            break
        }
        while missing != nil { try? await Task.sleep(for: .milliseconds(20)) }
    }
}
