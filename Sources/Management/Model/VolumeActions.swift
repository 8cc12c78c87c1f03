/// Asks for redirected mode on all nodes.
public struct VolumeRedirectRequest: Codable, Sendable, Equatable {
    /// What the operator says to it; nil for nothing.
    public var reason: String?

    public init(reason: String? = nil) {
        self.reason = reason
    }

    /// - Throws: `ManagementError` where the text is too long or would move a terminal's cursor.
    public func validate() throws(ManagementError) {
        guard let reason else { return }
        let scalars = reason.unicodeScalars
        guard !scalars.isEmpty, scalars.count <= ManagementLimits.reasonMaximumScalars else {
            throw .invalidRequest(
                "a reason has 1 to \(ManagementLimits.reasonMaximumScalars) characters")
        }
        guard !scalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw .invalidRequest("a reason is one line without control characters")
        }
    }
}

/// Asks for another coordinator.
public struct VolumeMoveRequest: Codable, Sendable, Equatable {
    /// Nil: the daemon chooses, a node with a path to the LUN and the fewest volumes.
    public var to: String?

    public init(to: String? = nil) {
        self.to = to
    }
}

/// What an operator may set on a volume; nil leaves it as it is.
public struct VolumeSettings: Codable, Sendable, Equatable {
    /// Fail over also where nothing proves that the lost coordinator can write no more.
    public var allowUnprovenFailover: Bool?

    public init(allowUnprovenFailover: Bool? = nil) {
        self.allowUnprovenFailover = allowUnprovenFailover
    }

    /// - Throws: `ManagementError` where it sets nothing.
    public func validate() throws(ManagementError) {
        guard allowUnprovenFailover != nil else {
            throw .invalidRequest("there is nothing to set")
        }
    }
}

/// What happens to a volume when its coordinator is lost.
public enum FailoverMode: String, Sendable, CaseIterable {
    /// Another node takes over once the fence is proven.
    case automatic = "Automatic"
    /// Another node takes over after the membership's end, proven or not: its operator allowed it.
    case unproven = "Unproven"
    /// None takes over by itself: the volume has no usable fence.
    case manual = "Manual"
}
