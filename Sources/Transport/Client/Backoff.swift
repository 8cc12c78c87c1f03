/// How long to wait before the next attempt to connect: doubling, with a random part so that the
/// nodes of a cluster do not come back all at once.
public struct Backoff: Sendable {
    public var initial: Duration
    public var maximum: Duration
    private var next: Duration

    public init(initial: Duration = .milliseconds(50), maximum: Duration = .seconds(2)) {
        precondition(initial > .zero && maximum >= initial)
        self.initial = initial
        self.maximum = maximum
        self.next = initial
    }

    /// Between half of the present step and all of it; the next step is twice as long.
    mutating func delay(using generator: inout some RandomNumberGenerator) -> Duration {
        let step = next
        next = min(next * 2, maximum)
        return step / 2 + step / 2 * Double.random(in: 0...1, using: &generator)
    }

    /// After a success the next failure starts from the beginning.
    mutating func reset() {
        next = initial
    }
}
