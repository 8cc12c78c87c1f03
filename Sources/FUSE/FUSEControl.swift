import CLinux
import VolumeModel

/// A connection's files below /sys/fs/fuse/connections.
enum FUSEControl {
    static func abortPath(_ connectionID: UInt32) -> String {
        "/sys/fs/fuse/connections/\(connectionID)/abort"
    }

    /// How many requests of a connection have no answer yet.
    static func waiting(connectionID: UInt32) -> Int {
        let text = FUSESystemFile.read("/sys/fs/fuse/connections/\(connectionID)/waiting")
        return text.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    /// 0, or -errno.
    static func abort(connectionID: UInt32, path: String) -> Int32 {
        if FUSESystemFile.write("1", to: abortPath(connectionID)) { return 0 }
        // Without fusectl, a forced unmount begins with an abort, whether or not it then succeeds.
        let result = covol_fuse_unmount(path, 0, 1)
        return result == -ErrorCode.busy.number ? 0 : result
    }
}
