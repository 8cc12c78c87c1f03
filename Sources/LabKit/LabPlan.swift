/// Every name, path and address of one lab, computed from its directory, its id and its options.
/// Pure: nothing is looked up or made.
public struct LabPlan: Sendable, Equatable {
    /// The lab's directory, absolute and without symbolic links.
    public let directory: String
    /// The second part of the lab's addresses, unique among the machine's labs.
    public let id: Int
    public let options: LabOptions
    /// Eight hexadecimal digits of the directory's hash: what makes the lab's names unique.
    public let tag: String

    public init(directory: String, id: Int, options: LabOptions) {
        precondition(directory.hasPrefix("/"), "a lab's directory is absolute")
        precondition(LabLimits.labIDs.contains(id), "a lab's id is 1 to 254")
        self.directory = directory
        self.id = id
        self.options = options
        self.tag = Self.tag(directory: directory)
    }

    /// The FNV-1a hash of the path, 32 bits.
    public static func tag(directory: String) -> String {
        var hash: UInt32 = 0x811C_9DC5
        for byte in directory.utf8 {
            hash = (hash ^ UInt32(byte)) &* 0x0100_0193
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    public var clusterName: String { "lab-\(id)" }
    public var nodes: [LabNodePlan] { (1...options.nodes).map(node) }

    /// The plan of node `number`, from 1.
    public func node(_ number: Int) -> LabNodePlan {
        precondition((1...options.nodes).contains(number), "the lab has no node \(number)")
        return LabNodePlan(lab: self, number: number)
    }

    /// The node that `name` means: `node2` or `2`.
    public func node(named name: String) throws(LabError) -> LabNodePlan {
        let digits = name.hasPrefix("node") ? name.dropFirst(4) : Substring(name)
        guard let number = Int(digits), (1...options.nodes).contains(number) else {
            throw LabError(
                .notFound,
                "no node '\(name)': this lab has node1 to node\(options.nodes)")
        }
        return node(number)
    }

    /// The namespace that holds both bridges, and the store's process.
    public var switchNamespace: String { Self.namespacePrefix(tag: tag) + "switch" }
    public static func namespacePrefix(tag: String) -> String { "covol-\(tag)-" }

    /// Where the LUN is seen, whether the image lies there or in memory.
    public var lunLink: String { directory + "/lun.img" }
    /// The image file itself.
    public var imagePath: String {
        options.memory ? Self.memoryImagePath(tag: tag) : lunLink
    }
    public static func memoryImagePath(tag: String) -> String { "/dev/shm/covolume-\(tag).img" }

    /// Where the simulated LUN shows a file per node: its path.
    public var lunDirectory: String { directory + "/lun" }
    /// The simulator's control socket and log.
    public var lunSocket: String { directory + "/lun.sock" }
    public var lunLog: String { directory + "/lun.log" }
    /// What `covol volume add` is told: the same on every node.
    public var lunDevice: String { options.simulatedLUN ? lunLink : imagePath }

    public var recordPath: String { directory + "/lab.json" }
    public var authorityDirectory: String { directory + "/authority" }
    public var storeDirectory: String { directory + "/store" }
    public var storeDatabase: String { storeDirectory + "/store.db" }
    public var storeSocket: String { storeDirectory + "/store.sock" }
    public var storeLog: String { storeDirectory + "/store.log" }

    /// Refuses a directory whose sockets' names would not fit in an address.
    public func validate() throws(LabError) {
        let longest = [storeSocket, node(options.nodes).socket].map(\.utf8.count).max() ?? 0
        guard longest <= LabLimits.maximumSocketPathBytes else {
            throw LabError(
                .badOption,
                "\(directory) is too long: the daemons' sockets in it would have names of "
                    + "\(longest) bytes, and \(LabLimits.maximumSocketPathBytes) is the most")
        }
    }
}
