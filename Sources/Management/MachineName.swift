/// What a virtual machine may be called: its name is a folder's name on a volume, a part of a URL and
/// of a store's key, and QEMU's argument. The same as a volume's: see ``VolumeName``.
public enum MachineName {
    /// - Throws: `ManagementError.invalidName`.
    public static func validate(_ name: String) throws(ManagementError) {
        do {
            try VolumeName.validate(name)
        } catch {
            throw .invalidName(
                "\(name.debugDescription) is no machine's name: it has 1 to "
                    + "\(ManagementLimits.volumeNameMaximumCharacters) of A-Z a-z 0-9 . _ - and does "
                    + "not start with . or -")
        }
    }
}
