import VolumeModel
import VolumeProtocol

/// A request on its way through claims, recalls and commands.
struct CoordinatorTask: Sendable {
    /// What a task is for.
    enum Purpose: Sendable {
        case request(NodeIdentity, sequence: UInt64, Operation)
        /// A hidden file's last open is gone.
        case removeHidden(FileHandle)
        /// A session ended while it held a file's growth.
        case settleLost(FileHandle, WriteReport, of: NodeIdentity?)
        /// A session holds the metadata of too many inodes: this one's are recalled.
        case makeRoom(FileHandle)
    }

    enum Stage: Sendable {
        case claiming
        /// Learning a file's size.
        case sizing
        case recalling
        case settling
        /// Finding what names stand for, before claiming that.
        case resolving
        /// Recalling the metadata that the next command changes.
        case clearing
        case executing
        /// Reading the attributes of `entry` again, after everybody told what they wrote.
        case refreshing
    }

    var purpose: Purpose
    var stage = Stage.claiming
    var claims: [(Resource, ClaimTable.Mode)] = []
    var missingClaims = 0
    /// Recalls have been sent and answered; nothing new can have been granted since.
    var hasRecalled = false
    var outstanding: Set<RecallID> = []
    var reports: [(FileHandle, WriteReport)] = []
    /// A file found or made, whose attributes are told after a refresh.
    var entry: FileHandle?
    /// The request was done already, for an earlier coordinator: only its answer is made again.
    var isRepeated = false
    /// The file that loses its last name through this task while in use.
    var victim: FileHandle?

    /// How many names the victim had when the task found it.
    var victimLinkCount: UInt32 = 0
    var hidesVictim = false
    /// The file of the settle under way.
    var settlingFile: FileHandle?
    /// What the names stand for that this task removes or moves.
    var named: [FileHandle] = []
    /// Inodes that are not granted to anybody before this task has ended.
    var changing: [FileHandle] = []
    /// What runs once their metadata are back.
    var next: (Command, Stage)?
    /// How many bytes a write carries.
    let payloadBytes: Int

    init(_ purpose: Purpose, payloadBytes: Int = 0) {
        self.purpose = purpose
        self.payloadBytes = payloadBytes
    }

    var session: NodeIdentity? {
        if case .request(let session, _, _) = purpose { session } else { nil }
    }

    var operation: Operation? {
        if case .request(_, _, let operation) = purpose { operation } else { nil }
    }

    func claimMode(of file: FileHandle) -> ClaimTable.Mode? {
        claims.first { $0.0 == .file(file) }?.1
    }
}
