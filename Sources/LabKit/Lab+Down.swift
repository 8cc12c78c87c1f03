import Foundation

extension Lab {
    /// Takes the lab down. Leaves no process, mount, loop device or namespace; the logs stay.
    /// - Parameter keepImage: keeps an image in memory, for `checkFileSystem` and
    ///   `removeImage`. An image in the lab's directory stays in any case.
    /// - Throws: `leftovers` with what could not be removed.
    public func down(
        keepImage: Bool = false, graceSeconds: Double = LabLimits.graceSeconds
    ) async throws(LabError) {
        var teardown = LabTeardown(directory: plan.directory, record: currentRecord)
        teardown.removesImage = !keepImage
        teardown.graceSeconds = graceSeconds
        teardown.registry = registry
        try await Blocking.run { [teardown] () throws(LabError) in try teardown.run() }
    }

    /// Takes down whatever there is of a lab in `directory`, also without a usable record, and
    /// also when the directory itself is gone.
    /// - Returns: whether there was anything.
    @discardableResult
    public static func down(
        directory: String, registry: LabRegistry = .machine
    ) async throws(LabError) -> Bool {
        let path = resolve(directory)
        let tag = LabPlan.tag(directory: path)
        let own = path + "/lab.json"
        let isKnown = SystemFile.exists(own) || SystemFile.exists(registry.recordPath(tag: tag))
        // Processes are found by their namespaces too, so that a damaged record is no obstacle.
        let record = (try? registry.record(tag: tag)) ?? (try? LabRecord.read(own))
        var teardown = LabTeardown(
            directory: path, record: record?.directory == path ? record : nil)
        teardown.registry = registry
        let hadNamespaces = !NetworkNamespace.names(prefix: LabPlan.namespacePrefix(tag: tag))
            .isEmpty
        guard isKnown || hadNamespaces else { return false }
        try await Blocking.run { [teardown] () throws(LabError) in try teardown.run() }
        return true
    }

    /// Removes the LUN's image, wherever it is. The lab must be down.
    public func removeImage() {
        unlink(plan.imagePath)
        unlink(plan.lunLink)
        registry.remove(tag: plan.tag)
    }

    /// Checks the file system in the LUN's image with its own tool, which repairs nothing. The
    /// lab must be down, its image kept; nothing is mounted or attached.
    /// - Throws: `fileSystemDamaged` with what the tool said.
    public func checkFileSystem(timeoutSeconds: Double = 300) async throws(LabError) {
        let words =
            switch plan.options.fileSystem {
            case .xfs: ["xfs_repair", "-n", "-f", plan.imagePath]
            case .ext4: ["e2fsck", "-f", "-n", plan.imagePath]
            }
        let result = try await Command(words, timeoutSeconds: timeoutSeconds).run()
        guard result.status == 0 else {
            throw LabError(
                .fileSystemDamaged,
                "\(words.joined(separator: " ")): status \(result.status)\n\(result.stdout)"
                    + result.stderr)
        }
    }

    /// The ends of all logs, for people to read after a failure.
    public func logTails() -> String {
        let logs = [plan.storeLog, plan.lunLog] + plan.nodes.map(\.log)
        return logs.filter { SystemFile.exists($0) }.map { path in
            "==> \(path)\n\(LogFile(path: path).tail)"
        }.joined(separator: "\n")
    }
}
