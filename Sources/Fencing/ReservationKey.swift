/// What a node's path registers with the LUN (SPC-4, 5.13.7), never zero: zero means "none" there.
///
/// A new one for each registration, so that a node that comes back is told from one that was
/// fenced.
public struct ReservationKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let number: UInt64

    /// Nil for zero.
    public init?(_ number: UInt64) {
        guard number != 0 else { return nil }
        self.number = number
    }

    /// A key drawn by chance. `using` is a parameter so that tests can repeat it.
    public static func random(using generator: inout some RandomNumberGenerator) -> Self {
        var number: UInt64 = 0
        while number == 0 { number = generator.next() }
        return ReservationKey(checked: number)
    }

    /// 16 hexadecimal digits with or without `0x`, as `description` writes them.
    public init?(hexadecimal text: String) {
        let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
        guard digits.utf8.count <= 16, let number = UInt64(digits, radix: 16) else { return nil }
        self.init(number)
    }

    private init(checked number: UInt64) { self.number = number }

    public static func < (left: Self, right: Self) -> Bool { left.number < right.number }

    public var description: String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
