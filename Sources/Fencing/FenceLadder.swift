/// Tries one fence after the other until one is proven.
public enum FenceLadder {
    public struct Rung: Sendable {
        public let kind: FenceKind
        public let fence: @Sendable () async -> FenceOutcome

        public init(_ kind: FenceKind, fence: @escaping @Sendable () async -> FenceOutcome) {
            self.kind = kind
            self.fence = fence
        }
    }

    /// The first proof, or why there is none. A rung that finds this node fenced ends it: who is
    /// fenced must not turn others off.
    public static func climb(_ rungs: [Rung]) async -> (kind: FenceKind, outcome: FenceOutcome) {
        var problems: [String] = []
        for rung in rungs {
            let outcome = await rung.fence()
            switch outcome {
            case .proven, .selfFenced: return (rung.kind, outcome)
            case .notProven(let text): problems.append("\(rung.kind.rawValue): \(text)")
            }
        }
        let text = problems.isEmpty ? "this volume has no fence" : problems.joined(separator: "; ")
        return (rungs.last?.kind ?? .none, .notProven(text))
    }
}
