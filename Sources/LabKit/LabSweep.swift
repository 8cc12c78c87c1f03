import Glibc

/// Removes what labs left on this machine after their owner's end, whatever ended it.
public struct LabSweep: Sendable {
    /// Whether labs that still run and belong to nobody that ended go as well.
    public var includesRunning: Bool
    var registry = LabRegistry.machine
    /// Whether namespaces and images without a record are looked for, too.
    var includesUnrecorded = true

    public init(includesRunning: Bool = false) {
        self.includesRunning = includesRunning
    }

    /// - Returns: a line for each thing that was removed.
    /// - Throws: `leftovers` when something could not be; the rest is removed all the same.
    public func run() async throws(LabError) -> [String] {
        let sweep = self
        return try await Blocking.run { () throws(LabError) in try sweep.runBlocking() }
    }

    private func runBlocking() throws(LabError) -> [String] {
        var removed: [String] = []
        var failures: [String] = []
        func attempt(_ what: String, _ body: () throws(LabError) -> Void) {
            do throws(LabError) {
                try body()
                removed.append(what)
            } catch {
                failures.append(error.message)
            }
        }
        // Listed before anything is removed: teardown of a recorded lab takes its own.
        let namespaces = NetworkNamespace.names(prefix: "covol-")
        let images = Self.memoryImages()
        for tag in registry.tags() {
            guard let record = try? registry.record(tag: tag) else {
                registry.remove(tag: tag)
                removed.append("damaged record \(tag)")
                continue
            }
            guard includesRunning || record.isRemains else { continue }
            attempt("lab \(record.directory)") { () throws(LabError) in
                var teardown = LabTeardown(directory: record.directory, record: record)
                teardown.registry = registry
                try teardown.run()
            }
        }
        if includesUnrecorded {
            sweepUnrecorded(namespaces, images, attempt)
        }
        guard failures.isEmpty else {
            throw LabError(.leftovers, failures.joined(separator: "\n"))
        }
        return removed
    }

    private func sweepUnrecorded(
        _ namespaces: [String], _ images: [String],
        _ attempt: (String, () throws(LabError) -> Void) -> Void
    ) {
        for name in namespaces {
            guard let tag = Self.tag(ofNamespace: name),
                isUnrecorded(tag, NetworkNamespace.path(name))
            else {
                continue
            }
            attempt("namespace \(name)") { () throws(LabError) in try Self.remove(name) }
        }
        for image in images where isUnrecorded(Self.tag(ofImage: image), image) {
            let kept = LoopDevices.detach { $0 == image }
            attempt("image \(image)") { () throws(LabError) in
                guard kept.isEmpty else {
                    throw LabError(.leftovers, "\(kept) still use \(image)")
                }
                unlink(image)
            }
        }
    }

    /// A lab that is going up or down right now has its record longer than its names, so the
    /// name is looked for first.
    private func isUnrecorded(_ tag: String, _ path: String) -> Bool {
        SystemFile.exists(path) && !SystemFile.exists(registry.recordPath(tag: tag))
    }

    /// `covol-1234abcd-node1` is of the lab 1234abcd; other names are not ours.
    static func tag(ofNamespace name: String) -> String? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "covol", parts[1].utf8.count == 8,
            parts[1].allSatisfy(\.isHexDigit),
            parts[2] == "switch" || parts[2].hasPrefix("node")
        else {
            return nil
        }
        return String(parts[1])
    }

    private static let imagePrefix = "covolume-"

    static func memoryImages() -> [String] {
        SystemFile.names(in: "/dev/shm")
            .filter { $0.hasPrefix(imagePrefix) && $0.hasSuffix(".img") }
            .map { "/dev/shm/" + $0 }
    }

    private static func tag(ofImage path: String) -> String {
        String(path.dropFirst("/dev/shm/".count + imagePrefix.count).dropLast(".img".count))
    }

    private static func remove(_ namespace: String) throws(LabError) {
        var rest: [ProcessIdentity] = []
        _ = Clock.wait(atMostSeconds: LabLimits.goneSeconds) {
            rest = NetworkNamespace.processes(in: [namespace]).filter(\.isAlive)
            for process in rest { process.signal(SIGKILL) }
            return rest.isEmpty
        }
        guard rest.isEmpty else {
            throw LabError(
                .leftovers, "processes \(rest.map(\.pid)) stay in the namespace \(namespace)")
        }
        NetworkNamespace.delete(namespace)
    }
}
