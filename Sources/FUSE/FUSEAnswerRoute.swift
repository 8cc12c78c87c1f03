import VolumeModel

/// The way back of one request's answer: the way it came.
enum FUSEAnswerRoute: Sendable {
    case device(FUSEChannel)
    /// The slot is held until the answer.
    case entry(FUSEWorkerCore, slot: Int)

    var connection: FUSEConnection {
        switch self {
        case .device(let channel): channel.connection
        case .entry(let core, _): core.channel.connection
        }
    }

    /// From any thread, exactly once; false where the request is gone.
    func reply(
        unique: UInt64, error: Int32, data: UnsafeRawPointer?, lengthBytes: Int
    ) -> Bool {
        switch self {
        case .device(let channel):
            channel.reply(unique: unique, error: error, data: data, lengthBytes: lengthBytes)
        case .entry(let core, let slot):
            core.answerEntry(
                slot, unique: unique, error: error, data: data, lengthBytes: lengthBytes)
        }
    }
}
