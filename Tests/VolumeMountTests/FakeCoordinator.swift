import Glibc
import NIOCore
import Synchronization
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A coordinator of files that lie in one piece each: file `k` at `k` MiB of the image, which it uses
/// without the path that fails. Every block is written, every layout granted.
///
/// Sound to share: `state` has its lock; the rest is constant.
final class FakeCoordinator: CoordinatorLink, Sendable {
    struct State {
        var names: [String: UInt8] = [:]
        var sizes: [UInt8: UInt64] = [:]
        var generation: UInt64 = 0
        var operations: [VolumeProtocol.Operation] = []
        var refused: Set<UInt8> = []
        var refusal = ErrorCode.stale
        var isAway = false
        /// Reads and writes are away too.
        var growths: [UInt8: UInt64] = [:]
        var grantsGrowth = false
        /// Answers may be kept (rule recall-before-change).
        var grantsMetadata = false
        /// The names of the root, but for those that can be looked up.
        var listed: [String] = []
    }

    static let fileBytes: UInt64 = 1 << 20
    let image: Int32
    let state = Mutex(State())

    init(image: Int32) { self.image = image }

    func add(_ name: String, _ number: UInt8, sizeBytes: UInt64 = FakeCoordinator.fileBytes) {
        state.withLock { state in
            state.names[name] = number
            state.sizes[number] = sizeBytes
        }
    }

    static func handle(_ number: UInt8) -> FileHandle {
        guard let handle = FileHandle(kind: 1, bytes: [number]) else {
            preconditionFailure("one byte makes a handle")
        }
        return handle
    }

    var operations: [VolumeProtocol.Operation] { state.withLock { $0.operations } }

    func count(_ matches: (VolumeProtocol.Operation) -> Bool) -> Int {
        operations.filter(matches).count
    }

    func call(
        _ operation: VolumeProtocol.Operation, payload: ByteBuffer?,
        sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        while state.withLock({ $0.isAway }) { try? await Task.sleep(for: .milliseconds(5)) }
        return answer(operation, payload)
    }

    /// The same, whether or not it is away.
    func answer(_ operation: VolumeProtocol.Operation, _ payload: ByteBuffer?) -> LinkAnswer {
        var answer = answerUngranted(operation, payload)
        if state.withLock({ $0.grantsMetadata }) { answer.grant = .all }
        return answer
    }

    private func answerUngranted(
        _ operation: VolumeProtocol.Operation, _ payload: ByteBuffer?
    ) -> LinkAnswer {
        state.withLock { state in
            state.operations.append(operation)
            if let file = operation.fileOfRefusal, state.refused.contains(file) {
                return LinkAnswer(.failed(state.refusal))
            }
            switch operation {
            case .lookup(let name):
                let text = String(decoding: name.name, as: UTF8.self)
                guard let number = state.names[text] else { return LinkAnswer(.failed(.noEntry)) }
                return LinkAnswer(
                    .entry(
                        FileEntry(
                            handle: Self.handle(number),
                            attributes: Self.attributes(number, state))))
            case .attributes(let file):
                return LinkAnswer(.attributes(Self.attributes(file.bytes[0], state)))
            case .layoutGet(let file, let range):
                return LinkAnswer(.layout(grant(file.bytes[0], range, &state)))
            case .layoutGrow(let file, let range):
                guard state.grantsGrowth else { return LinkAnswer(.sendData) }
                let number = file.bytes[0]
                let visible = state.sizes[number] ?? 0
                state.growths[number] = visible
                state.generation += 1
                let blocks = range.wholeBlocks(4096)
                return LinkAnswer(
                    .growth(
                        LayoutGrant(
                            generation: LayoutGeneration(state.generation), range: blocks,
                            extents: [Self.extent(number, blocks)],
                            end: .at(sizeBytes: visible))))
            case .layoutReturn(let file, _, let report), .release(let file, _, let report):
                if let size = report.grownSizeBytes,
                    state.growths.removeValue(forKey: file.bytes[0]) != nil
                {
                    state.sizes[file.bytes[0]] = size
                }
                return LinkAnswer(.done)
            case .readDirectory(_, let cookie, let maximumBytes, _):
                let last = min(Int(cookie) + Int(maximumBytes) / 128, state.listed.count)
                let entries = (Int(cookie)..<max(last, Int(cookie))).map { index in
                    DirectoryEntryWithFile(
                        entry: DirectoryEntry(
                            name: Array(state.listed[index].utf8), inode: UInt64(index) + 1000,
                            kind: .regular, nextCookie: Int64(index) + 1), file: nil)
                }
                return LinkAnswer(.directory(entries, atEnd: entries.isEmpty))
            case .read(let file, let range):
                return read(file.bytes[0], range, state)
            case .write(let file, let offset, _):
                return write(file.bytes[0], offset, payload ?? ByteBuffer(), &state)
            default:
                return LinkAnswer(.done)
            }
        }
    }

    private static func attributes(_ number: UInt8, _ state: State) -> FileAttributes {
        number == 0
            ? FaultyLUN.attributes(1, mode: 0o040755, size: 0)
            : FaultyLUN.attributes(
                UInt64(number) + 1, mode: 0o100600, size: state.sizes[number] ?? 0)
    }

    private static func extent(_ number: UInt8, _ range: ByteRange) -> Extent {
        Extent(
            fileOffsetBytes: range.startBytes,
            lunOffsetBytes: UInt64(number) * fileBytes + range.startBytes,
            lengthBytes: range.lengthBytes, state: .written)
    }

    private func grant(_ number: UInt8, _ range: ByteRange, _ state: inout State) -> LayoutGrant {
        state.generation += 1
        let size = state.sizes[number] ?? 0
        let end = ByteRange(start: 0, end: size).wholeBlocks(4096).endBytes
        let granted = ByteRange(start: min(range.startBytes, end), end: end)
        return LayoutGrant(
            generation: LayoutGeneration(state.generation), range: granted,
            extents: granted.isEmpty ? [] : [Self.extent(number, granted)],
            end: .at(sizeBytes: size))
    }

    private func read(_ number: UInt8, _ range: ByteRange, _ state: State) -> LinkAnswer {
        let end = min(range.endBytes, state.sizes[number] ?? 0)
        let length = Int(end - min(range.startBytes, end))
        var bytes = [UInt8](repeating: 0, count: length)
        let count = pread(
            image, &bytes, length, off_t(UInt64(number) * Self.fileBytes + range.startBytes))
        return LinkAnswer(.data, payload: ByteBuffer(bytes: bytes[..<max(count, 0)]))
    }

    private func write(
        _ number: UInt8, _ offset: UInt64, _ payload: ByteBuffer, _ state: inout State
    ) -> LinkAnswer {
        let count = payload.withUnsafeReadableBytes { bytes in
            pwrite(
                image, bytes.baseAddress, bytes.count,
                off_t(UInt64(number) * Self.fileBytes + offset))
        }
        let size = max(state.sizes[number] ?? 0, offset + UInt64(count))
        state.sizes[number] = size
        return LinkAnswer(
            .written(offsetBytes: offset, lengthBytes: UInt32(count), sizeBytes: size))
    }
}

extension VolumeProtocol.Operation {
    /// The file of an open or a claim that a test may have refused.
    fileprivate var fileOfRefusal: UInt8? {
        switch self {
        case .open(let file, _), .reclaimLayout(let file, _, _): file.bytes[0]
        case .reclaimLock(let lock): lock.file.bytes[0]
        default: nil
        }
    }

    var isWrite: Bool { if case .write = self { true } else { false } }
    var isRead: Bool { if case .read = self { true } else { false } }
    var isLayoutGet: Bool { if case .layoutGet = self { true } else { false } }
    var isLayoutReturn: Bool { if case .layoutReturn = self { true } else { false } }
    var isSynchronize: Bool { if case .synchronize = self { true } else { false } }
    var isOpen: Bool { if case .open = self { true } else { false } }
    var isReclaimLayout: Bool { if case .reclaimLayout = self { true } else { false } }
    var isReclaimLock: Bool { if case .reclaimLock = self { true } else { false } }
}
