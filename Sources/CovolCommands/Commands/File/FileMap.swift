import ArgumentParser
import Management

/// `covol file map PATH`
struct FileMap: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Print a file's sector map.",
        discussion: """
            Offsets and lengths are bytes. STATE is written (read and written directly), hole and \
            unwritten (read as zeros, written by the coordinator), shared (reflinked: read directly, \
            written by the coordinator) or opaque (everything goes to the coordinator). A dash in \
            LUN OFFSET means that the bytes are not at one place on the LUN.

            Example:
              covol file map /clusterstorage/Volume1/disk.qcow2
            """)

    @Argument(help: "A file on a volume, by this node's path.")
    var path: String

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if path.isEmpty { throw ValidationError("PATH needs a path") }
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let resolved = try resolvedPath(path)
        var extents: [FileMapExtent] = []
        var offset: UInt64? = 0
        while let offsetBytes = offset {
            let page = try await backend.fileMap(
                FileMapRequest(path: resolved, offsetBytes: offsetBytes))
            extents += page.extents
            offset = page.nextOffsetBytes
            if let next = offset, next <= offsetBytes {
                throw ManagementError.internal(
                    "the daemon's map of the file does not go forward after byte \(offsetBytes)")
            }
        }
        try output.list(extents, format)
    }
}
