import VolumeModel

/// What is cut off.
public enum FenceScope: Hashable, Sendable {
    /// The node's path alone: the node lives, and goes on redirected.
    case path
    /// The node's life is over: its opens, locks and layouts go with it.
    case node
}

/// What happens to one node as a member of one volume.
public enum VolumeMemberEvent: Hashable, Sendable {
    /// The records as they are now.
    case records(VolumeRecords)
    /// Time has passed.
    case tick
    /// This node's membership is valid, or has lapsed.
    case lease(isValid: Bool)
    /// This node's path to the LUN answers, or does not.
    case path(isUsable: Bool)
    /// The I/O of this node's earlier life has ended (rule drained-before-rejoin).
    case drained
    /// This life goes on in another process: it is attached, and of its I/O nothing is left. `over`: the
    /// epoch that the process before coordinated, of which nothing is left either.
    case resumed(over: Epoch?)
    /// An action of the same name has ended, well or not.
    case attached(Bool)
    case fenced(NodeIdentity, FenceScope, isProven: Bool)
    case claimed(Epoch, Bool)
    case mounted(Epoch, Bool)
    case announced(Epoch, Bool)
    case handedOver(Epoch, Bool)
    /// `isProven`: the LUN is unmounted, and nothing of this epoch is under way.
    case abandoned(Epoch, isProven: Bool)
    case resigned(Epoch, Bool)
    case sessionOpened(Epoch, Bool)
    case lostEverything
    /// A node has owed this coordinator the answer to a recall for too long: what is to be cut off.
    case overdue(NodeIdentity, FenceScope)
    /// The coordinator of this node cannot make anything durable any more.
    case coordinatorFailed(Epoch)
}

/// What a node's shell has to do, each answered by an event.
public enum VolumeMemberAction: Hashable, Sendable {
    /// Register a key on the path, then put the attachment into the store.
    case attach
    /// Prove that a node, or its path, cannot write any more; then, in one transaction, put that into
    /// the store: the attachment goes (`node`) or loses its path, and an ownership record that still
    /// names this life becomes `fenced`.
    case fence(NodeIdentity, FenceScope)
    /// Become the owner with this epoch, if the ownership record is still the one of `after`.
    case claim(Epoch, after: VolumeRecords.Owner)
    /// Mount, with a grace for the nodes that are attached.
    case mount(Epoch, attached: [String])
    /// Say in the record that this epoch serves.
    case announce(Epoch)
    /// Finish what is under way, unmount, prove it, and make `to` the next epoch's owner.
    case handOver(Epoch, to: NodeIdentity)
    /// Go silent at once and take everything of this epoch down.
    case abandon(Epoch)
    /// Say in the record that this node does not coordinate this epoch any more.
    case resign(Epoch, OwnerPhase)
    /// The coordinator drops everything of a node that has detached, or is proven gone.
    case forget(NodeIdentity)
    /// Open a session with this epoch's coordinator, or take it up again.
    case openSession(Epoch, NodeIdentity)
    /// This node was fenced while it lived: what was open answers EIO from now on.
    case loseEverything
}
