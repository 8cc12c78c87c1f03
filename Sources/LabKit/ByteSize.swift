/// Sizes as people write them: `2G`, `512M`, `4096`.
public enum ByteSize {
    /// Bytes of a whole number with an optional binary unit K, M, G or T (1024 each), or nil.
    public static func parse(_ text: String) -> Int64? {
        var digits = Substring(text)
        var shift: Int64 = 0
        if let unit = digits.last, !unit.isNumber {
            guard let index = "KMGT".firstIndex(of: Character(unit.uppercased())) else {
                return nil
            }
            shift = Int64("KMGT".distance(from: "KMGT".startIndex, to: index) + 1) * 10
            digits = digits.dropLast()
        }
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let number = Int64(digits)
        else {
            return nil
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: Int64(1) << shift)
        return overflow ? nil : bytes
    }
}
