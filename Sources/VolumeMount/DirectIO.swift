import FUSE
import FilterCore
import VolumeModel

/// A read or write of the kernel's.
enum DataRequest: Sendable {
    case none
    case read(FUSEReadRequest)
    case write(FUSEWriteRequest)
}

/// How the LUN's part of a direct read or write ended.
enum DirectOutcome: Sendable {
    case inFlight
    case complete
    /// Without an error: fewer bytes than asked for.
    case failed(ErrorCode?)

    /// Of several segments' errors the one that says least of what became of the data.
    init(_ results: FUSEIOResults) {
        self = .complete
        if results.isComplete { return }
        var worst: ErrorCode?
        for index in 0..<results.count where results[index] < 0 {
            let error = ErrorCode(Int32(-results[index]))
            if worst.map({ PathCore.isLessKnown(error, than: $0) }) ?? true { worst = error }
        }
        self = .failed(worst)
    }
}

/// What a direct read or write has to remember until it ends. Its number is that of its token.
struct DirectIO: Sendable {
    var request = DataRequest.none
    var slot: FUSESlot?
    var skipBytes = 0
    var lengthBytes = 0
    var outcome = DirectOutcome.inFlight
    /// The watch's count when it started.
    var startTick: UInt32 = 0
    /// The worker's thread has been asked to look after it: until it does, nobody answers.
    var isCalled = false
    /// A write that may still land, although it failed or hangs.
    var awaitsProof = false

    var operation: PathOperation {
        if case .write = request { .write } else { .read }
    }

    var file: FileIndex {
        switch request {
        case .read(let request): request.file
        case .write(let request): request.file
        case .none: preconditionFailure("a direct I/O that was never started")
        }
    }
}

/// What becomes of a direct read or write whose LUN I/O is over.
enum DirectEnd: Sendable {
    case answer
    case redirect
    case fail(ErrorCode)
    /// Nothing yet.
    case wait
    /// The LUN I/O is left behind, and the request goes to the coordinator.
    case leave
}
