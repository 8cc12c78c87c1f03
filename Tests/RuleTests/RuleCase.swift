import Glibc
import Testing
import VolumeModel

/// One run of a rule's scenario: on a file system, with every rule, or as the control with one less.
struct RuleCase: Sendable, CustomTestStringConvertible {
    var kind: FileSystemKind
    var isControl: Bool

    static let all: [RuleCase] = FileSystemKind.allCases.flatMap { kind in
        [RuleCase(kind: kind, isControl: false), RuleCase(kind: kind, isControl: true)]
    }

    /// The rules in force where `rule` is the one under test.
    func rules(_ rule: SafetyRules) -> SafetyRules { isControl ? .all.subtracting(rule) : .all }

    var testDescription: String {
        "\(kind.rawValue), \(isControl ? "without the rule" : "rules hold")"
    }
}

/// The suites on real file systems, one test at a time: each has loop devices, mounts and threads.
@Suite(.serialized, .enabled(if: geteuid() == 0, "mounting needs root"))
struct RealVolumes {}
