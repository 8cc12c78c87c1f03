/// What a node may be called, where its name is a part of a URL and of a store's key: a DNS label,
/// as the cluster's certificates have it: 1 to 63 of `a-z 0-9 -`, neither first nor last a hyphen.
public enum NodeName {
    /// - Throws: `ManagementError` of code `invalid-name`.
    public static func validate(_ name: String) throws(ManagementError) {
        let bytes = name.utf8
        let isLabel =
            (1...63).contains(bytes.count) && bytes.first != UInt8(ascii: "-")
            && bytes.last != UInt8(ascii: "-")
            && bytes.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-")
            }
        guard isLabel else {
            throw .invalidName(
                "\(name.debugDescription) is no node's name: it has 1 to 63 of a-z 0-9 - and "
                    + "neither starts nor ends with -")
        }
    }
}
