/// The rules of `docs/architecture.md` that a test or the simulation can switch off, one at a time, to
/// see that their absence is noticed. A volume in use has them all.
public struct SafetyRules: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let durableBeforeGrant = SafetyRules(rawValue: 1 << 0)
    public static let cleanBeforeGrant = SafetyRules(rawValue: 1 << 1)
    public static let writtenBeforeGrant = SafetyRules(rawValue: 1 << 2)
    public static let recallBeforeRemap = SafetyRules(rawValue: 1 << 3)
    public static let wholeBlocks = SafetyRules(rawValue: 1 << 4)
    public static let orderOfGrantAndRecall = SafetyRules(rawValue: 1 << 5)
    public static let freshMount = SafetyRules(rawValue: 1 << 6)
    public static let durableBeforeShown = SafetyRules(rawValue: 1 << 7)
    public static let soleMutator = SafetyRules(rawValue: 1 << 8)

    public static let all = SafetyRules(rawValue: (1 << 9) - 1)
}
