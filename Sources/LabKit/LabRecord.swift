import Foundation

/// What a running lab remembers of itself, in `DIR/lab.json` and again in the registry: enough to
/// take it down after a crash of everything.
public struct LabRecord: Codable, Sendable, Equatable {
    public static let currentVersion = 1

    public var version = LabRecord.currentVersion
    public var directory: String
    public var id: Int
    public var options: LabOptions
    /// The process that the lab belongs to: a test's, or that of `covol lab up` until it is done.
    /// When that has ended, what is left of the lab are remains. Nil for a lab that stays.
    public var owner: ProcessIdentity?
    public var store: ProcessIdentity?
    /// The simulated LUN, where the lab has one.
    public var simulator: ProcessIdentity?
    /// By the node's name.
    public var daemons: [String: ProcessIdentity] = [:]

    public init(directory: String, id: Int, options: LabOptions, owner: ProcessIdentity?) {
        self.directory = directory
        self.id = id
        self.options = options
        self.owner = owner
    }

    public var plan: LabPlan { LabPlan(directory: directory, id: id, options: options) }

    /// Whether nobody needs this lab any more.
    var isRemains: Bool {
        if let owner { return !owner.isAlive }
        return !([store, simulator].compactMap { $0 } + daemons.values).contains(where: \.isAlive)
    }

    func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else {
            preconditionFailure("a record of plain values encodes")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// - Throws: `damagedRecord`, with the path and what to do.
    static func read(_ path: String) throws(LabError) -> LabRecord {
        let bytes = try SystemFile.bytes(path)
        let record: LabRecord
        do {
            record = try JSONDecoder().decode(LabRecord.self, from: Data(bytes))
        } catch {
            throw damaged(path, "\(error)")
        }
        guard record.version == currentVersion else {
            throw damaged(path, "version \(record.version), this program knows \(currentVersion)")
        }
        guard record.directory.hasPrefix("/"), LabLimits.labIDs.contains(record.id),
            (1...LabLimits.maximumNodes).contains(record.options.nodes)
        else {
            throw damaged(path, "a value is out of its range")
        }
        return record
    }

    private static func damaged(_ path: String, _ reason: String) -> LabError {
        LabError(
            .damagedRecord,
            "\(path) is damaged (\(reason)); `covol lab down` of its directory cleans up without it"
        )
    }
}
