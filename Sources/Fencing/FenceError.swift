import VolumeModel

/// Why a command to a LUN, a fence agent or a watchdog did not do its work.
public enum FenceError: Error, Sendable, Equatable, CustomStringConvertible {
    /// RESERVATION CONFLICT: this path has no registration of its own any more. It is fenced.
    case reservationConflict
    /// CHECK CONDITION: the target looked at the command and refused it.
    case refusedByTarget(SenseData)
    /// Another SCSI status than GOOD, CHECK CONDITION and RESERVATION CONFLICT (SAM-5, 5.3.1),
    /// after every attempt.
    case status(UInt8)
    /// No answer in time. The target may have executed the command.
    case timedOut(String)
    /// The path failed on the way. The target may have executed the command.
    case transport(String)
    /// The answer breaks the rules of its format.
    case damagedAnswer(String)
    /// The device or the target cannot do this at all.
    case unsupported(String)
    /// The LUN is reserved by someone who is not of this cluster.
    case reservedByOthers(String)
    /// A configuration that cannot work.
    case invalidConfiguration(String)

    public var description: String {
        switch self {
        case .reservationConflict:
            "reservation conflict: this path's registration has been preempted, it is fenced"
        case .refusedByTarget(let sense): "the target refused the command: \(sense)"
        case .status(let status): "the target answered with status \(hexadecimal(status))"
        case .timedOut(let what): "no answer in time: \(what)"
        case .transport(let what): "the path failed: \(what)"
        case .damagedAnswer(let what): "the answer is damaged: \(what)"
        case .unsupported(let what), .reservedByOthers(let what), .invalidConfiguration(let what):
            what
        }
    }
}

/// `0x` and two digits, as SCSI's documents write a byte.
func hexadecimal(_ byte: UInt8) -> String {
    "0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
