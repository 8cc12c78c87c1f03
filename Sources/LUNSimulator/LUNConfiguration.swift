/// What a simulated LUN is made of.
public struct LUNConfiguration: Sendable {
    /// The file, or block device, that has the LUN's data.
    public var image: String
    /// The folder that shows one file per path.
    public var directory: String
    public var paths: [String]
    /// The control socket's name.
    public var socket: String
    /// Gets a line of JSON for each write that landed.
    public var log: String?
    /// Whether the target accepts APTPL.
    public var supportsPersistence = true

    public init(image: String, directory: String, paths: [String], socket: String) {
        self.image = image
        self.directory = directory
        self.paths = paths
        self.socket = socket
    }

    func validate() throws(LUNError) {
        guard !paths.isEmpty, paths.count <= LUNLimits.pathsMaximum else {
            throw LUNError("a LUN has 1 to \(LUNLimits.pathsMaximum) paths")
        }
        guard Set(paths).count == paths.count else {
            throw LUNError("a path is named twice: \(paths.joined(separator: ","))")
        }
        for name in paths {
            let isFileName =
                !name.isEmpty && name != "." && name != ".." && !name.contains("/")
                && name.utf8.count <= LUNLimits.pathNameMaximumBytes
            guard isFileName else { throw LUNError("'\(name)' is no name for a path's file") }
        }
    }
}
