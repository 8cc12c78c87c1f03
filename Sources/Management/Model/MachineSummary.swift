/// A virtual machine as `covol vm list` and `covol vm show` tell it.
public struct MachineSummary: Codable, Sendable, Equatable {
    public var name: String
    /// `Off`, `Waiting`, `Starting`, `Running`, `Paused`, `Migrating`, `Saving`, `Stopping`, `Saved`,
    /// `Failed` or `Halted` (paused by an error of its storage). A string, so that an older client
    /// shows a newer daemon's words.
    public var state: String
    /// What it waits for, or why it is where it is, in words.
    public var detail: String?
    /// The node that runs it, or is to.
    public var node: String?
    /// Where it is being moved.
    public var target: String?
    public var volume: String
    public var memoryBytes: UInt64
    public var cpus: Int
    public var priority: String
    public var preferredOwners: [String]
    public var possibleOwners: [String]
    public var antiAffinityGroup: String?
    /// Goes up with every start and every move.
    public var epoch: UInt64
    /// Its folder, as this node sees it.
    public var path: String
    /// The Unix socket of its serial console on `node`.
    public var console: String?

    public init(
        name: String, state: String, detail: String? = nil, node: String? = nil,
        target: String? = nil, volume: String, memoryBytes: UInt64, cpus: Int, priority: String,
        preferredOwners: [String] = [], possibleOwners: [String] = [],
        antiAffinityGroup: String? = nil, epoch: UInt64, path: String, console: String? = nil
    ) {
        self.name = name
        self.state = state
        self.detail = detail
        self.node = node
        self.target = target
        self.volume = volume
        self.memoryBytes = memoryBytes
        self.cpus = cpus
        self.priority = priority
        self.preferredOwners = preferredOwners
        self.possibleOwners = possibleOwners
        self.antiAffinityGroup = antiAffinityGroup
        self.epoch = epoch
        self.path = path
        self.console = console
    }
}
