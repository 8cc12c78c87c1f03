import Glibc
import Synchronization

/// A cluster on this machine: a network namespace and a daemon per node, a store, one LUN.
///
/// A value stands for the lab of its directory; the lab itself is the processes and the record
/// on disk, and outlives it. Safe to use from several tasks.
public final class Lab: Sendable {
    public let plan: LabPlan
    public let binaries: LabBinaries
    let registry: LabRegistry
    private let record: Mutex<LabRecord>

    init(record: LabRecord, binaries: LabBinaries, registry: LabRegistry) {
        self.plan = record.plan
        self.binaries = binaries
        self.registry = registry
        self.record = Mutex(record)
    }

    /// The lab that runs in `directory`.
    /// - Throws: `notFound` or `damagedRecord`.
    public static func open(
        directory: String, binaries: LabBinaries? = nil, registry: LabRegistry = .machine
    ) throws(LabError) -> Lab {
        let directory = resolve(directory)
        let own = directory + "/lab.json"
        let record: LabRecord
        if SystemFile.exists(own) {
            record = try LabRecord.read(own)
        } else if let known = try registry.record(tag: LabPlan.tag(directory: directory)) {
            record = known
        } else {
            throw LabError(
                .notFound, "\(directory) has no lab: `covol lab up \(directory)` makes one")
        }
        guard record.directory == directory else {
            throw LabError(
                .damagedRecord,
                "\(own) is of the lab at \(record.directory): labs cannot be moved or copied")
        }
        let found: LabBinaries
        if let binaries { found = binaries } else { found = try LabBinaries.find() }
        return Lab(record: record, binaries: found, registry: registry)
    }

    public var currentRecord: LabRecord { record.withLock { $0 } }

    /// Node `number`, from 1.
    public func node(_ number: Int) -> LabNode { LabNode(lab: self, plan: plan.node(number)) }
    public var nodes: [LabNode] { (1...plan.options.nodes).map(node) }

    /// Changes the record, in memory and on disk.
    func update(_ change: (inout LabRecord) -> Void) throws(LabError) {
        let failure: LabError? = record.withLock { record in
            change(&record)
            do throws(LabError) {
                try registry.write(record)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// The directory as the lab's names are made from it: absolute, links resolved, also when it
    /// does not exist (any more).
    static func resolve(_ directory: String) -> String {
        if let canonical = SystemFile.canonical(directory) { return canonical }
        var rest = Substring(directory)
        while rest.count > 1 && rest.last == "/" { rest.removeLast() }
        let name = rest.split(separator: "/").last.map(String.init) ?? ""
        let above = rest.dropLast(name.count)
        let parent = resolveParent(above.isEmpty ? "." : String(above))
        return parent == "/" ? "/" + name : parent + "/" + name
    }

    private static func resolveParent(_ path: String) -> String {
        if path.allSatisfy({ $0 == "/" }) { return "/" }
        return resolve(path)
    }
}
