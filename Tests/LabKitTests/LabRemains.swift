@testable import LabKit

/// What is left on the machine of the lab in a directory.
func labRemains(of directory: String) throws -> [String] {
    let tag = LabPlan.tag(directory: Lab.resolve(directory))
    let processes = SystemFile.names(in: "/proc").filter { name in
        guard let words = try? SystemFile.text("/proc/\(name)/cmdline") else { return false }
        return words.contains(directory + "/")
    }
    return NetworkNamespace.names(prefix: "covol-\(tag)")
        + (try MountInfo.below(Lab.resolve(directory))).map(\.mountPoint)
        + LoopDevices.devices { $0.contains(tag) || $0.hasPrefix(directory + "/") }
        + processes.map { "process \($0)" }
        + [LabPlan.memoryImagePath(tag: tag), LabRegistry.machine.recordPath(tag: tag)]
        .filter { SystemFile.exists($0) }
}
