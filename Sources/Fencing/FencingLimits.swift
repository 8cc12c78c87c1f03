/// Every bound of this module, with its unit in its name.
public enum FencingLimits {
    /// One SCSI command, from its sending to its end. Longer than a target's own internal retries,
    /// short enough that a crash of the coordinator is over in 15 s.
    public static let commandTimeoutSeconds = 5.0
    /// Times that a command is sent again after a unit attention, BUSY or TASK SET FULL.
    public static let commandAttemptsMaximum = 6
    /// The pause before a command is sent again because the target was busy.
    public static let busyPauseSeconds = 0.1
    /// Keys that a LUN may have: nodes times paths. More than any target keeps.
    public static let keysMaximum = 4096
    /// Rounds of preempt and read back before a fence gives up.
    public static let fenceRoundsMaximum = 4
    /// The longest answer line of the LUN simulator.
    public static let simulatorLineMaximumBytes = 1 << 20
    /// One run of a fence agent: `off` waits for the machine's power to go.
    public static let agentTimeoutSeconds = 60.0
    /// What is kept of a fence agent's output, of which messages quote the end.
    public static let agentOutputMaximumBytes = 16 << 10
    /// Options of one fence agent.
    public static let agentOptionsMaximum = 64
    /// Times that an agent is asked for the power's state after `off`.
    public static let agentStatusAttemptsMaximum = 5
    /// The pause between those.
    public static let agentStatusPauseSeconds = 1.0
    /// The sense data's room, the most that SPC-4 allows.
    public static let senseMaximumBytes = 252
}
