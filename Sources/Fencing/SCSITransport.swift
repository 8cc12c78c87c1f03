/// What a target answered.
public struct SCSIResponse: Sendable, Equatable {
    /// The status byte (SAM-5, 5.3.1).
    public var status: UInt8
    /// The sense data of a CHECK CONDITION, as it came.
    public var sense: [UInt8]
    /// What a command that reads brought, without what was not transferred.
    public var data: [UInt8]

    public init(status: UInt8, sense: [UInt8] = [], data: [UInt8] = []) {
        self.status = status
        self.sense = sense
        self.data = data
    }

    public static let good: UInt8 = 0x00
    public static let checkCondition: UInt8 = 0x02
    public static let busy: UInt8 = 0x08
    public static let reservationConflict: UInt8 = 0x18
    public static let taskSetFull: UInt8 = 0x28
}

/// One path to a LUN, that takes SCSI commands.
///
/// `execute` blocks its thread, for a bounded time. It may be called from any thread.
public protocol SCSITransport: Sendable {
    /// Sends one command and waits for its end.
    ///
    /// - Parameters:
    ///   - dataOut: what the command writes; empty for none.
    ///   - dataInMaximum: how many bytes it may read; 0 for none. Never both.
    /// - Throws: `FenceError.transport` or `.timedOut` where the target's status is not known,
    ///   `.unsupported` where the device takes no SCSI commands, `.damagedAnswer`. Every status of
    ///   the target is a response, not an error.
    func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse

    /// What messages call this path.
    var name: String { get }
}
