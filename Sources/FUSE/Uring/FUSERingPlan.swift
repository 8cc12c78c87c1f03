import Glibc

/// Which of the kernel's queues, of which each possible CPU has one, a worker serves.
struct FUSERingPlan: Sendable {
    struct Queue: Sendable {
        /// The CPU's.
        var number: UInt32
        /// The entries that it gets at once, and as many it always has for requests that go on.
        var entries: Int
    }

    var queues: [Queue] = []
    /// Further entries of the worker, for queues whose own ones are held.
    var reserve = 0

    /// The CPU that all requests come from, where it is one: the worker's home (``FUSEPlacement``).
    var processor: UInt32?

    var entryMaximum: Int { queues.reduce(reserve) { $0 + $1.entries } }

    /// Spreads the queues over the workers. One of a CPU that is not there gets one entry: the kernel
    /// uses none before all have some.
    static func plans(options: FUSEMountOptions, processors: FUSEProcessors) -> [Self] {
        (0..<options.workers).map { worker in
            var plan = FUSERingPlan()
            let numbers = (0..<processors.possible).filter { $0 % options.workers == worker }
            guard !numbers.isEmpty else { return plan }
            let onlineNumbers = numbers.filter { processors.online.contains($0) }
            let online = onlineNumbers.count
            plan.processor = online == 1 ? UInt32(onlineNumbers[0]) : nil
            plan.queues = numbers.map {
                let isOnline = processors.online.contains($0)
                return Queue(
                    number: UInt32($0),
                    entries: isOnline ? max(1, options.slotsPerWorker / online) : 1)
            }
            plan.reserve = options.reserveEntriesPerWorker
            return plan
        }
    }
}

/// The machine's CPUs, as the kernel numbers them.
struct FUSEProcessors: Sendable {
    /// How many there can ever be.
    var possible: Int
    var online: Set<Int>

    /// Nil where sysfs does not say.
    init?() {
        guard let possible = Self.read("/sys/devices/system/cpu/possible"),
            let online = Self.read("/sys/devices/system/cpu/online")
        else { return nil }
        self.init(possible: possible.count, online: online)
    }

    init(possible: Int, online: Set<Int>) {
        self.possible = possible
        self.online = online
    }

    private static func read(_ path: String) -> Set<Int>? {
        FUSESystemFile.read(path).flatMap(parse)
    }

    /// A list such as `0-3,8`.
    static func parse(_ list: String) -> Set<Int>? {
        var numbers: Set<Int> = []
        for part in list.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let ends = part.split(separator: "-").map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
                first <= last, last < 1 << 16
            else { return nil }
            numbers.formUnion(first...last)
        }
        return numbers.isEmpty ? nil : numbers
    }
}

/// A small file below /sys.
enum FUSESystemFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }

    static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
    }
}
