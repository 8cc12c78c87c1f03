/// Whether something may be done with a device, with words for the operator either way.
public enum Suitability: Hashable, Sendable {
    /// It may; the notes say what to know about it.
    case suitable(notes: [String])
    /// It may not, for every one of these reasons.
    case refused(reasons: [String])

    public var isSuitable: Bool {
        if case .suitable = self { true } else { false }
    }
}
