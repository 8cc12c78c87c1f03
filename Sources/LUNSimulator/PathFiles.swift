import CLinux
import Glibc

/// The empty files that the paths are mounted on.
enum PathFiles {
    static func path(_ configuration: LUNConfiguration, _ name: String) -> String {
        configuration.directory + "/" + name
    }

    /// Makes the folder and the files, and takes away mounts that a killed simulator left.
    static func prepare(_ configuration: LUNConfiguration) throws(LUNError) {
        guard mkdir(configuration.directory, 0o755) == 0 || errno == EEXIST else {
            throw LUNError.system("mkdir", configuration.directory)
        }
        for name in configuration.paths {
            let path = path(configuration, name)
            while isDead(path) {
                let result = covol_fuse_unmount(path, 1, 0)
                guard result == 0 else {
                    throw LUNError.system("umount", path, error: -result)
                }
            }
            let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if file >= 0 {
                close(file)
                continue
            }
            guard errno == EEXIST else { throw LUNError.system("create", path) }
            var status = stat()
            guard stat(path, &status) == 0, status.st_size == 0 else {
                throw LUNError(
                    "\(path) is not an empty file: another simulator serves it, or it is something "
                        + "of yours; choose another folder")
            }
        }
    }

    /// Whether it shows what a simulator that is gone served. Only an open tells: the kernel still
    /// has the attributes.
    private static func isDead(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file < 0 else {
            close(file)
            return false
        }
        return errno == ENOTCONN || errno == ECONNABORTED
    }

    /// Removes those that nothing is mounted on.
    static func remove(_ configuration: LUNConfiguration) {
        for name in configuration.paths {
            let path = path(configuration, name)
            var status = stat()
            guard lstat(path, &status) == 0, status.st_size == 0 else { continue }
            unlink(path)
        }
        rmdir(configuration.directory)
    }
}
