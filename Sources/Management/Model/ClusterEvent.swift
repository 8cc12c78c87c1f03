import Foundation

/// What an event tells of. The raw values are published, and never change.
public enum ClusterEventKind: String, Sendable, CaseIterable {
    case nodeJoined = "node-joined"
    case nodeLeft = "node-left"
    /// A node's membership ended without its doing.
    case nodeLost = "node-lost"
    case nodeForgotten = "node-forgotten"
    /// It is proven that a node, or its path to a volume, can write no more.
    case fenced
    /// A fence was tried and is not proven.
    case fenceFailed = "fence-failed"
    case coordinatorMoved = "coordinator-moved"
    case coordinatorLost = "coordinator-lost"
    /// Another node has taken over after a loss, and its grace is over.
    case coordinatorTookOver = "coordinator-took-over"
    /// A volume waits for its operator: there is no proof that its lost coordinator is cut off.
    case failoverWaits = "failover-waits"
    case redirected
    case direct
    /// A node was fenced while it lived: what was open there answers EIO.
    case opensLost = "opens-lost"
    case mountResumed = "mount-resumed"
    /// Requests of programs were lost with a daemon that ended.
    case requestsLost = "requests-lost"
    case pathLost = "path-lost"
    case pathBack = "path-back"
    case volumeAdded = "volume-added"
    case volumeRemoved = "volume-removed"
    case volumeRenamed = "volume-renamed"
    case volumeChanged = "volume-changed"
    case machineRuns = "machine-runs"
    case machineMoved = "machine-moved"
    /// Its node, or its QEMU, was lost, and it is started again.
    case machineRestarted = "machine-restarted"
    /// It could not be kept running.
    case machineFailed = "machine-failed"
    /// Its storage failed or is full: it stands still until that is over.
    case machineHalted = "machine-halted"
    case machineResumed = "machine-resumed"
    case nodeDrained = "node-drained"
    case nodeResumed = "node-resumed"
    case storeLost = "store-lost"
    case storeBack = "store-back"
}

/// Whether someone should look.
public enum EventSeverity: String, Sendable, CaseIterable {
    /// As it was asked for, or better than before.
    case info
    /// It goes on, slower or with less redundancy.
    case warning
    /// Something does not work until someone acts.
    case error
}

/// A row of `covol events`: one thing that happened in the cluster.
public struct ClusterEvent: Codable, Sendable, Equatable {
    /// Goes up with every event, not always by one.
    public var sequence: UInt64
    /// When, in UTC and as ISO 8601 has it, with milliseconds: `2026-11-22T21:50:00.123Z`.
    public var time: String
    /// A `ClusterEventKind`'s raw value. A string, so that an older client shows a newer daemon's
    /// words.
    public var kind: String
    /// An `EventSeverity`'s raw value.
    public var severity: String
    /// The volume's name then; nil where it is about none.
    public var volume: String?
    /// Nil where it is about none.
    public var node: String?
    /// Why it happened.
    public var cause: String?
    /// What came of it, of a fence for one.
    public var outcome: String?
    /// How long it took, or lasted.
    public var durationSeconds: Double?
    /// A sentence that an operator can act on.
    public var text: String

    /// Texts that are too long are cut (`ManagementLimits`).
    public init(
        sequence: UInt64, time: Date, kind: ClusterEventKind, severity: EventSeverity,
        volume: String? = nil, node: String? = nil, cause: String? = nil, outcome: String? = nil,
        durationSeconds: Double? = nil, text: String
    ) {
        self.sequence = sequence
        self.time = time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        self.kind = kind.rawValue
        self.severity = severity.rawValue
        self.volume = volume
        self.node = node
        self.cause = cause?.cut(toScalars: ManagementLimits.eventCauseMaximumScalars)
        self.outcome = outcome?.cut(toScalars: ManagementLimits.eventCauseMaximumScalars)
        self.durationSeconds = durationSeconds
        self.text = text.cut(toScalars: ManagementLimits.eventTextMaximumScalars)
    }

    /// Absent values are written as null, so that every object has the same fields.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(sequence, forKey: .sequence)
        try container.encode(time, forKey: .time)
        try container.encode(kind, forKey: .kind)
        try container.encode(severity, forKey: .severity)
        try container.encode(volume, forKey: .volume)
        try container.encode(node, forKey: .node)
        try container.encode(cause, forKey: .cause)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(durationSeconds, forKey: .durationSeconds)
        try container.encode(text, forKey: .text)
    }
}

/// Asks for events: the newest `limit` of those that match, the oldest first.
public struct EventRequest: Sendable, Equatable {
    /// Only events of a higher sequence.
    public var afterSequence: UInt64
    /// 0 to `ManagementLimits.eventsMaximum`. Following begins with as many; 0 with none.
    public var limit: Int
    /// Only events of the volume of this name.
    public var volume: String?

    public init(afterSequence: UInt64 = 0, limit: Int = 100, volume: String? = nil) {
        self.afterSequence = afterSequence
        self.limit = limit
        self.volume = volume
    }

    /// - Throws: `ManagementError` where it asks for what cannot be.
    public func validate() throws(ManagementError) {
        guard (0...ManagementLimits.eventsMaximum).contains(limit) else {
            throw .invalidRequest("limit must be 0 to \(ManagementLimits.eventsMaximum)")
        }
        if let volume { try VolumeName.validate(volume) }
    }

    /// Whether `event` is one of those asked for.
    public func matches(_ event: ClusterEvent) -> Bool {
        event.sequence > afterSequence && (volume == nil || event.volume == volume)
    }
}
