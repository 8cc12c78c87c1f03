import CLinux
import CoordinatorCore
import Glibc
import HostFileSystem
import Logging
import VolumeModel

extension Command {
    var makesHidden: Bool {
        if case .perform(.createUnnamed) = self { true } else { false }
    }
}

extension CommandRunner {
    /// What the volume says of the epoch before, for a coordinator's start.
    func takeOver(attached: [String], log: Logger) throws -> CoordinatorEvent {
        let names = rules.contains(.once) ? Set(attached) : []
        let outcomes = try directory.journal.takeOver(attached: names, view)
        let hidden = try directory.hiddenFiles()
        let grown = try directory.growth.all()
        if !hidden.isEmpty || !grown.isEmpty || !outcomes.isEmpty {
            log.info(
                "took over from an earlier coordinator",
                metadata: [
                    "hiddenFiles": "\(hidden.count)", "growths": "\(grown.count)",
                    "requests": "\(outcomes.count)",
                ])
        }
        return .started(
            attached: attached, hidden: hidden, grown: grown, outcomes: outcomes)
    }

    private static let proofName = Array("trusted.covol".utf8)

    /// Throws where the volume takes no change any more: something is written and flushed, and a
    /// block is read past every cache.
    func proveWritable() throws(ErrorCode) {
        let value = Array("\(Timestamp.now)".utf8)
        do throws(ErrorCode) {
            try volume.setExtendedAttribute(Self.proofName, of: directory.handle, to: value)
        } catch .noSpace {}
        try volume.sync()
        try proveReadable()
    }

    /// Reads a block of the LUN, past every cache. Blocks as long as the LUN hangs.
    func proveReadable() throws(ErrorCode) {
        let descriptor = open(volume.device, O_RDONLY | covol_o_direct | O_CLOEXEC)
        guard descriptor >= 0 else { throw ErrorCode(errno) }
        defer { close(descriptor) }
        let size = Int(Limits.blockSizeBytes)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: size)
        defer { memory.deallocate() }
        guard pread(descriptor, memory.baseAddress, size, 0) == size else { throw .inputOutput }
    }
}
