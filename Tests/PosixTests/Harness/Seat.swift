/// Where checks run.
struct Seat: Sendable {
    /// A directory of the file system under test.
    let directory: String
    /// The same directory as another node shows it; on a local file system the same path.
    let otherDirectory: String
    let isVolume: Bool
    /// Ends every call that hangs there; the mounts do not survive it.
    let abort: @Sendable () -> Void
}
