/// The requests of one direction that are not answered yet, against the window's limits.
///
/// The sender asks `fits` before it sends; the receiver closes a connection whose peer did not.
/// A request leaves the receiver's window when its answer is written and the sender's when the
/// answer arrives, so the receiver never counts more than the sender.
struct RequestWindow {
    private(set) var bytes = 0
    private(set) var count = 0
    let maximumBytes: Int
    let maximumCount: Int

    init(lane: Lane) {
        self.maximumBytes = TransportLimits.outstandingMaximumBytes
        self.maximumCount = TransportLimits.outstandingRequestsMaximum(lane)
    }

    func fits(_ frameBytes: Int) -> Bool {
        count < maximumCount && bytes + frameBytes <= maximumBytes
    }

    mutating func take(_ frameBytes: Int) {
        precondition(fits(frameBytes))
        bytes += frameBytes
        count += 1
    }

    mutating func giveBack(_ frameBytes: Int) {
        bytes -= frameBytes
        count -= 1
        precondition(bytes >= 0 && count >= 0)
    }
}
