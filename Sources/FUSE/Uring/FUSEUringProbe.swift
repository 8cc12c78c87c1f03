import IORing
import VolumeModel

/// Whether FUSE over io_uring can be asked for here; what the kernel then says to INIT and to the
/// first entries is seen with the mount.
enum FUSEUringProbe {
    private static let parameter = "/sys/module/fuse/parameters/enable_uring"

    /// Nil, or why not. Sets the module's parameter where `sets` allows it: it is the whole machine's,
    /// and only permits what each server then asks for itself.
    static func obstacle(setsParameter sets: Bool) -> String? {
        guard let value = FUSESystemFile.read(parameter) else {
            return "the kernel has no \(parameter)"
        }
        if !value.hasPrefix("Y") {
            guard sets else { return "\(parameter) is off" }
            guard FUSESystemFile.write("Y", to: parameter) else {
                return "\(parameter) is off and cannot be written"
            }
        }
        do throws(ErrorCode) {
            _ = try IORing(entries: 1, completions: 1, wideEntries: true)
        } catch {
            return "io_uring with 128-byte entries: \(error)"
        }
        return nil
    }
}
