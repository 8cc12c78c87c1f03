/// Looks, after a mount was gone on with, for requests that nobody has: they were lost with the process
/// before, and whoever made them would wait for ever.
public struct FUSELostRequestWatch: Sendable {
    public enum Verdict: Sendable, Equatable {
        case none
        /// So many.
        case lost(Int)
        /// Never was it so quiet that it could be told.
        case unknown
    }

    /// How often to look.
    public static let interval = Duration.milliseconds(100)
    /// A request on its way between kernel and worker looks alike, but not for long.
    public static let looksToBelieve = 30
    public static let looksMaximum = 600

    private var looks = 0
    private var believed = 0

    public init() {}

    /// - Parameter count: what ``FUSEMount/requestsWithNobody()`` says at one moment.
    /// - Returns: nil where it has to be asked again.
    public mutating func look(_ count: Int?) -> Verdict? {
        if count == 0 { return Verdict.none }
        looks += 1
        if let count {
            believed += 1
            if believed >= Self.looksToBelieve { return .lost(count) }
        }
        return looks < Self.looksMaximum ? nil : .unknown
    }
}
