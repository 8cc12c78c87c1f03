import Glibc

/// The programs that a lab runs.
public struct LabBinaries: Sendable, Equatable {
    public var covol: String
    public var covold: String
    public var covolStore: String

    public init(covol: String, covold: String, covolStore: String) {
        self.covol = covol
        self.covold = covold
        self.covolStore = covolStore
    }

    /// The programs in a directory.
    public init(directory: String) {
        self.init(
            covol: directory + "/covol", covold: directory + "/covold",
            covolStore: directory + "/covol-store")
    }

    /// The LUN simulator, which only some labs need.
    public var covolLUN: String { directory + "/covol-lun" }

    /// The folder that goes first in the PATH of commands on a node.
    public var directory: String {
        let end = covol.lastIndex(of: "/") ?? covol.startIndex
        return String(covol[..<end])
    }

    /// The first of: COVOL_BIN_DIR, the folder of the running program, `.build/debug` below the
    /// working directory or a folder above it, that has all three.
    /// - Throws: `missingBinary` with the folders that were looked at.
    public static func find(
        environment: [String: String] = Command.callerEnvironment
    ) throws(LabError) -> LabBinaries {
        let directories = candidates(environment: environment)
        for directory in directories {
            let found = LabBinaries(directory: directory)
            if found.missing.isEmpty { return found }
        }
        throw LabError(
            .missingBinary,
            "covol, covold and covol-store are not together in any of "
                + directories.joined(separator: ", ")
                + ": build them (`make build`), or set COVOL_BIN_DIR to their folder")
    }

    /// Those of the three that cannot be run.
    var missing: [String] {
        [covol, covold, covolStore].filter { access($0, X_OK) != 0 }
    }

    static func candidates(environment: [String: String]) -> [String] {
        if let given = environment["COVOL_BIN_DIR"], !given.isEmpty {
            return [SystemFile.canonical(given) ?? given]
        }
        var directories: [String] = []
        if let program = SystemFile.canonical("/proc/self/exe") {
            directories.append(parent(program))
        }
        var folder = SystemFile.canonical(".") ?? "/"
        while true {
            if let build = SystemFile.canonical(folder + "/.build/debug") {
                directories.append(build)
            }
            guard folder != "/" else { return directories }
            folder = parent(folder)
        }
    }

    private static func parent(_ path: String) -> String {
        guard let end = path.lastIndex(of: "/"), end != path.startIndex else { return "/" }
        return String(path[..<end])
    }
}
