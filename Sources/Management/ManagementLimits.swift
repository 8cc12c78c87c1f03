/// Every bound of the management API, with its unit in its name.
public enum ManagementLimits {
    /// The longest request body. The largest request holds one path.
    public static let requestBodyMaximumBytes = 64 << 10
    /// The longest answer that a client takes.
    public static let responseBodyMaximumBytes = 16 << 20
    /// The longest line of a progress stream.
    public static let progressLineMaximumBytes = 64 << 10
    /// The longest progress message, in Unicode scalars; longer ones are cut.
    public static let progressMessageMaximumScalars = 1024
    /// The longest message of an error, in Unicode scalars; longer ones are cut.
    public static let errorMessageMaximumScalars = 4096
    /// Progress messages that wait for a slow client; beyond it the oldest are dropped.
    public static let progressMessagesWaitingMaximum = 256
    /// The most extents in one page of a file's sector map.
    public static let fileMapPageMaximumExtents = 32 << 10
    /// `PATH_MAX`, less the terminating NUL.
    public static let pathMaximumBytes = 4095
    /// `sun_path` of sockaddr_un(7), less the terminating NUL.
    public static let socketPathMaximumBytes = 107
    /// The longest volume name.
    public static let volumeNameMaximumCharacters = 64
    /// The longest text that an operator gives as a reason, in Unicode scalars.
    public static let reasonMaximumScalars = 256
    /// The most events in one answer.
    public static let eventsMaximum = 1000
    /// The longest text of an event, in Unicode scalars; longer ones are cut.
    public static let eventTextMaximumScalars = 1024
    /// The longest cause and outcome of an event, likewise.
    public static let eventCauseMaximumScalars = 256
    /// How often an answer that follows events tells that the daemon is there.
    public static let eventHeartbeatSeconds: Int64 = 15
    /// Clients served at once; others wait in the socket's backlog.
    public static let connectionsMaximum = 64
    /// How long a connection may be silent before the server closes it, while no request runs.
    public static let connectionIdleSeconds: Int64 = 120
    /// How long a client waits for an ordinary answer.
    public static let requestTimeoutSeconds: Int64 = 60
    /// How long a client waits for the end of `volume add`, `remove`, `redirect`, `resume`, `move`.
    public static let longRequestTimeoutSeconds: Int64 = 24 * 3600
    /// How long a client follows events.
    public static let followTimeoutSeconds: Int64 = 10 * 365 * 24 * 3600
}
