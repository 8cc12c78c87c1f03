/// What an attempt to fence a node came to. The text is for the operator and for the event's log.
public enum FenceOutcome: Sendable, Equatable, CustomStringConvertible {
    /// Nothing that the victims sent can land any more.
    case proven(String)
    /// The victims may still write. Nothing of theirs may be forgotten or given away.
    case notProven(String)
    /// This node cannot fence anybody: its own path is fenced. It must stop its direct I/O, and its
    /// coordinators must go silent.
    case selfFenced(String)

    public var isProven: Bool {
        if case .proven = self { return true }
        return false
    }

    public var text: String {
        switch self {
        case .proven(let text), .notProven(let text), .selfFenced(let text): text
        }
    }

    public var description: String {
        switch self {
        case .proven(let text): "proven: \(text)"
        case .notProven(let text): "not proven: \(text)"
        case .selfFenced(let text): "this node is fenced itself: \(text)"
        }
    }
}
