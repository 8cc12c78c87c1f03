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
    public static let attachedBeforeLayout = SafetyRules(rawValue: 1 << 9)
    public static let fenceBeforeForget = SafetyRules(rawValue: 1 << 10)
    public static let drainedBeforeRejoin = SafetyRules(rawValue: 1 << 11)
    public static let oneCoordinator = SafetyRules(rawValue: 1 << 12)
    public static let epochInEveryMessage = SafetyRules(rawValue: 1 << 13)
    public static let leaseFromSend = SafetyRules(rawValue: 1 << 14)
    public static let validAtCompletion = SafetyRules(rawValue: 1 << 15)
    public static let once = SafetyRules(rawValue: 1 << 16)
    public static let failedBeforeRedirect = SafetyRules(rawValue: 1 << 17)
    public static let recallBeforeChange = SafetyRules(rawValue: 1 << 18)

    public static let machineOnce = SafetyRules(rawValue: 1 << 19)

    public static let all = SafetyRules(rawValue: (1 << 20) - 1)

    /// Every rule with its name in `docs/architecture.md`, in the order there.
    public static let named: [(name: String, rule: SafetyRules)] = [
        ("durable-before-grant", .durableBeforeGrant),
        ("clean-before-grant", .cleanBeforeGrant),
        ("written-before-grant", .writtenBeforeGrant),
        ("recall-before-remap", .recallBeforeRemap),
        ("recall-before-change", .recallBeforeChange),
        ("whole-blocks", .wholeBlocks),
        ("order-of-grant-and-recall", .orderOfGrantAndRecall),
        ("attached-before-layout", .attachedBeforeLayout),
        ("fence-before-forget", .fenceBeforeForget),
        ("drained-before-rejoin", .drainedBeforeRejoin),
        ("one-coordinator", .oneCoordinator),
        ("fresh-mount", .freshMount),
        ("epoch-in-every-message", .epochInEveryMessage),
        ("lease-from-send", .leaseFromSend),
        ("valid-at-completion", .validAtCompletion),
        ("durable-before-shown", .durableBeforeShown),
        ("once", .once),
        ("failed-before-redirect", .failedBeforeRedirect),
        ("sole-mutator", .soleMutator),
        ("machine-once", .machineOnce),
    ]
}
