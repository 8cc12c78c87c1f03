import Foundation
import Glibc
import Synchronization

/// Appends what landed to a file, a line of JSON each, from a thread of its own.
public final class AccessLogWriter: Sendable {
    private let lun: SimulatedLUN
    private let file: Int32
    private let isStopping = Atomic(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    /// Starts it, where the configuration names a log.
    public static func start(_ lun: SimulatedLUN) throws(LUNError) -> AccessLogWriter? {
        guard let path = lun.configuration.log else { return nil }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw LUNError.system("open", path) }
        let writer = AccessLogWriter(lun: lun, file: file)
        let thread = Thread { writer.run() }
        thread.stackSize = 1 << 20
        thread.start()
        return writer
    }

    private init(lun: SimulatedLUN, file: Int32) {
        self.lun = lun
        self.file = file
    }

    /// Writes what is left, and returns when it is written.
    public func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        hasEnded.wait()
    }

    private func run() {
        var sequence: UInt64 = 0
        var writtenBytes = 0
        while true {
            let isLast = isStopping.load(ordering: .sequentiallyConsistent)
            while writtenBytes < LUNLimits.logMaximumBytes {
                let entries = lun.model.withLock {
                    $0.log.entries(
                        after: sequence, limit: LUNLimits.accessesPerAnswerMaximum)
                }
                guard let last = entries.last else { break }
                sequence = last.sequence
                let bytes = text(entries)
                writtenBytes += bytes.count
                // A full disk ends the log, not the LUN.
                guard write(file, bytes, bytes.count) == bytes.count else {
                    writtenBytes = .max
                    break
                }
            }
            if isLast { break }
            usleep(100_000)
        }
        close(file)
        hasEnded.signal()
    }

    private func text(_ entries: [AccessLog.Entry]) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        var bytes: [UInt8] = []
        for entry in entries {
            let shown = ControlAccesses.Entry(entry, names: lun.configuration.paths)
            guard let line = try? encoder.encode(shown) else {
                preconditionFailure("plain values encode")
            }
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }
}
