/// The one place that says what a volume may be called.
///
/// A volume's name is a directory's name on every node, a part of a URL and of a store's key, and
/// an argument: 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with `.` or `-`.
public enum VolumeName {
    /// - Throws: `ManagementError.invalidName`.
    public static func validate(_ name: String) throws(ManagementError) {
        guard let problem = problem(in: name) else { return }
        throw .invalidName("\(problem): \(rule)")
    }

    private static let rule =
        "a volume's name has 1 to \(ManagementLimits.volumeNameMaximumCharacters) of "
        + "A-Z a-z 0-9 . _ - and does not start with . or -"

    private static func problem(in name: String) -> String? {
        let bytes = name.utf8
        guard let first = bytes.first else { return "the volume's name is empty" }
        guard bytes.count <= ManagementLimits.volumeNameMaximumCharacters else {
            return "the volume's name has \(bytes.count) bytes"
        }
        guard bytes.allSatisfy(isAllowed) else {
            return "\(name.debugDescription) has a character that is not allowed"
        }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "-") else {
            return "\(name.debugDescription) starts with \(name.prefix(1))"
        }
        return nil
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
