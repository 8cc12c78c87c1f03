import Glibc
import NIOCore
import NIOPosix

/// The place of a listening Unix socket in the file system.
///
/// The server binds it in a fresh directory of mode 0700, sets its mode to 0600, and only then
/// renames it to where clients look: nobody can connect in between, and a stale socket is replaced
/// in one step.
struct ManagementSocket: Sendable {
    /// Where clients look.
    let path: String
    private let stagingDirectory: String

    /// Where the server binds.
    var stagingPath: String { stagingDirectory + "/s" }

    /// Looks at what is in the socket's place, and makes the directory to bind in.
    static func prepare(path: String) async throws(ManagementSocketError) -> ManagementSocket {
        let directory = parent(of: path)
        let template = directory + "/.mgmt.XXXXXX"
        guard
            max(path.utf8.count, template.utf8.count + 2)
                <= ManagementLimits.socketPathMaximumBytes
        else {
            throw ManagementSocketError(
                .pathTooLong, path: path, "too long for a Unix socket: choose a shorter path")
        }
        if mkdir(directory, 0o755) != 0, errno != EEXIST {
            throw systemError(path, "its directory cannot be made")
        }
        try await checkReplaceable(path)
        var name = Array(template.utf8CString)
        guard mkdtemp(&name) != nil else { throw systemError(path, "no room to make it") }
        let made = name.dropLast().map { UInt8(bitPattern: $0) }
        return ManagementSocket(
            path: path, stagingDirectory: String(decoding: made, as: UTF8.self))
    }

    /// The socket's own file, by which it is told from another one of the same name.
    struct Identity: Sendable, Equatable {
        var device: dev_t
        var inode: ino_t
    }

    /// Puts the bound socket where clients look.
    func publish() throws(ManagementSocketError) -> Identity {
        guard chmod(stagingPath, 0o600) == 0, let bound = Self.status(stagingPath),
            rename(stagingPath, path) == 0
        else {
            throw Self.systemError(path, "it cannot be put in place")
        }
        rmdir(stagingDirectory)
        return Identity(device: bound.st_dev, inode: bound.st_ino)
    }

    /// Takes the socket away, unless another one is in its place by now.
    ///
    /// - Parameter published: what `publish` returned; nil where it was not called or threw.
    func remove(_ published: Identity?) {
        if let published, let present = Self.status(path),
            published == Identity(device: present.st_dev, inode: present.st_ino)
        {
            unlink(path)
        }
        unlink(stagingPath)
        rmdir(stagingDirectory)
    }

    private static func checkReplaceable(_ path: String) async throws(ManagementSocketError) {
        guard let present = status(path) else { return }
        guard present.st_mode & S_IFMT == S_IFSOCK else {
            throw ManagementSocketError(
                .notSocket, path: path, "this is not a socket: move it away, or choose another path"
            )
        }
        do {
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path).get()
            try? await channel.close()
        } catch let error as IOError where [ECONNREFUSED, ENOENT].contains(error.errnoCode) {
            return
        } catch {
            throw ManagementSocketError(
                .inUse, path: path, "cannot tell whether a daemon serves it: \(error)")
        }
        throw ManagementSocketError(
            .inUse, path: path,
            "another daemon serves this socket: stop it first, or choose another path")
    }

    private static func status(_ path: String) -> stat? {
        var result = stat()
        return lstat(path, &result) == 0 ? result : nil
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func systemError(_ path: String, _ what: String) -> ManagementSocketError {
        ManagementSocketError(.system, path: path, "\(what): \(String(cString: strerror(errno)))")
    }
}
