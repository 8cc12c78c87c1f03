import Foundation
import Management

/// A path as the daemon needs it, whose working directory is another: absolute, nothing resolved.
/// Device paths stay as they are named: /dev/disk/by-id outlives what it points to.
func absolutePath(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    let directory = FileManager.default.currentDirectoryPath
    return (directory == "/" ? "" : directory) + "/" + path
}

/// A file's path with its directory resolved by realpath(3), so that the daemon finds the volume
/// without following links on its own mount. The file itself is not touched.
func resolvedPath(_ path: String) throws(ManagementError) -> String {
    let absolute = absolutePath(path)
    let name = absolute.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    guard !name.isEmpty, name != ".", name != ".." else {
        throw .invalidRequest("\(path) names a directory, not a file")
    }
    let directory = absolute.dropLast(name.count)
    guard let resolved = realpath(String(directory), nil) else {
        throw .notFound("\(directory): \(String(cString: strerror(errno)))")
    }
    defer { free(resolved) }
    let parent = String(cString: resolved)
    return (parent == "/" ? "" : parent) + "/" + name
}
