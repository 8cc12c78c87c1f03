/// What happens to one machine on one node.
public enum MachineHostEvent: Hashable, Sendable {
    /// The record as it is now; nil: there is none.
    case record(MachineRecord?)
    /// This node is a member, or is not.
    case lease(isValid: Bool)
    /// What an earlier life of the daemon has left, once, at the start.
    case found(Found?)
    /// A copy was started; its processors stand still.
    case launched(UInt64)
    /// The stream of a migration is complete here.
    case arrived(UInt64)
    /// The sending of a copy has ended.
    case sent(UInt64, Outcome)
    /// The state is on the volume, or why it is not; the processors stand still.
    case saved(UInt64, failure: String?)
    /// The copy's process is gone. `isGuestsWish`: the guest turned itself off.
    case exited(reason: String, isGuestsWish: Bool)
    /// The last ``MachineHostAction/write(_:after:)``, after the record as it is now.
    case wrote(Bool)

    public enum Found: Hashable, Sendable {
        /// Its processors run.
        case running(UInt64)
        /// Its processors stand still, and nothing is on its way to another node.
        case standing(UInt64)
        /// Another node has all of it.
        case sent(UInt64)
        /// It waited for a stream.
        case useless
    }

    public enum Outcome: Hashable, Sendable {
        /// The target has everything, and the processors here stand still.
        case completed
        /// The guest runs on here: what the target has of it never runs.
        case failed(String)
    }
}

/// What a node's shell has to do for a machine.
public enum MachineHostAction: Hashable, Sendable {
    /// Start a copy for this epoch with its processors standing still; ends in `launched` or `exited`.
    case launch(UInt64, isRestoring: Bool)
    /// Start a copy that takes a stream, and put its address into the record (`arrival`); ends in
    /// `arrived` or `exited`.
    case receive(UInt64)
    /// Send the copy; ends in `sent`.
    case send(UInt64, to: String, at: String)
    /// Stop sending; `sent` tells how it stands then.
    case cancel(UInt64)
    /// Let the processors run.
    case resume(UInt64)
    case pause(Bool)
    /// Stop the processors and save the state to the volume; ends in `saved`.
    case save(UInt64)
    /// End the guest; ends in `exited`.
    case stop(MachineRecord.Stop)
    /// End the copy at once; ends in `exited`.
    case kill
    /// Put a record, if the store still has `after`; ends in `record`, then `wrote`.
    case write(MachineRecord, after: MachineRecord)
}
