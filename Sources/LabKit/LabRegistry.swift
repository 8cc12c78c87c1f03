import Glibc

/// The machine's labs, in /run/covolume-labs: a record per lab, found even when its directory
/// was deleted. /run is emptied at boot, and then nothing of a lab is left either.
public struct LabRegistry: Sendable {
    public static let machine = LabRegistry(directory: "/run/covolume-labs")

    public let directory: String

    public init(directory: String) {
        self.directory = directory
    }

    func recordPath(tag: String) -> String { "\(directory)/\(tag).json" }

    /// Runs `body` while no other process changes the registry.
    func locked<Value>(_ body: () throws(LabError) -> Value) throws(LabError) -> Value {
        try SystemFile.makeDirectory(directory)
        let lock = try Descriptor(opening: "\(directory)/lock", flags: O_RDWR | O_CREAT)
        while flock(lock.number, LOCK_EX) != 0 {
            guard errno == EINTR else { throw LabError.system("flock", directory) }
        }
        return try body()
    }

    /// Takes the directory and an id for a new lab and writes its record, in both places, before
    /// anything else of the lab is made.
    func reserve(
        directory labDirectory: String, options: LabOptions, owner: ProcessIdentity?
    ) throws(LabError) -> LabRecord {
        try locked { () throws(LabError) -> LabRecord in
            let tag = LabPlan.tag(directory: labDirectory)
            guard !SystemFile.exists(recordPath(tag: tag)),
                !SystemFile.exists(labDirectory + "/lab.json")
            else {
                throw LabError(
                    .alreadyUp,
                    "\(labDirectory) has a lab already: `covol lab status` shows it, and "
                        + "`covol lab down` removes it, also after a crash")
            }
            let taken = Set(tags().compactMap { try? record(tag: $0)?.id })
            let count = LabLimits.labIDs.count
            let first = Int(UInt32(tag, radix: 16)! % UInt32(count))
            let candidates = (0..<count).lazy.map { (first + $0) % count + 1 }
            guard let id = candidates.first(where: { number in !taken.contains(number) }) else {
                throw LabError(
                    .badOption, "\(count) labs run on this machine: take one down first")
            }
            let reserved = LabRecord(
                directory: labDirectory, id: id, options: options, owner: owner)
            try write(reserved)
            return reserved
        }
    }

    /// Writes both copies. The lab's own may be gone together with its directory.
    func write(_ record: LabRecord) throws(LabError) {
        let bytes = record.encoded()
        try SystemFile.replace(recordPath(tag: record.plan.tag), with: bytes)
        if SystemFile.exists(record.directory) {
            try SystemFile.replace(record.plan.recordPath, with: bytes)
        }
    }

    /// The tags of all recorded labs.
    func tags() -> [String] {
        SystemFile.names(in: directory).compactMap { name in
            name.hasSuffix(".json") ? String(name.dropLast(".json".count)) : nil
        }
    }

    /// The record of a lab, or nil when there is none.
    func record(tag: String) throws(LabError) -> LabRecord? {
        let path = recordPath(tag: tag)
        return SystemFile.exists(path) ? try LabRecord.read(path) : nil
    }

    func remove(tag: String) {
        unlink(recordPath(tag: tag))
    }
}
