import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

/// A filter with one file open, and short ways to grant and to plan.
final class FilterFixture {
    static let block = Limits.blockSizeBytes

    var filter: FilterCore
    let handle = FilterFixture.handle(1)
    let file: FileIndex
    private var lastTicket: UInt64 = 0

    static func handle(_ number: UInt8) -> FileHandle {
        guard let handle = FileHandle(kind: 1, bytes: [number]) else {
            preconditionFailure("one byte makes a handle")
        }
        return handle
    }

    static func blocks(_ range: Range<UInt64>) -> ByteRange {
        ByteRange(start: range.lowerBound * block, end: range.upperBound * block)
    }

    init(rules: SafetyRules = .all, lanes: Int = 1) {
        filter = FilterCore(rules: rules, lanes: lanes)
        file = filter.open(handle)
    }

    /// Extents of so many blocks each, one after another in the file; written ones at 1000 blocks
    /// times their number on the LUN.
    static func extents(_ parts: [(ExtentState, UInt64)], from start: UInt64 = 0) -> [Extent] {
        var position = start * block
        return parts.enumerated().map { index, part in
            let hasAddress = part.0 != .hole && part.0 != .opaque
            let extent = Extent(
                fileOffsetBytes: position,
                lunOffsetBytes: hasAddress ? UInt64(index + 1) * 1000 * block : 0,
                lengthBytes: part.1 * block, state: part.0)
            position += part.1 * block
            return extent
        }
    }

    static func grant(
        _ generation: UInt64, _ parts: [(ExtentState, UInt64)], from start: UInt64 = 0,
        end: LayoutEnd = .unknown
    ) -> LayoutGrant {
        let extents = Self.extents(parts, from: start)
        let last = extents.last?.fileEndBytes ?? start * block
        return LayoutGrant(
            generation: LayoutGeneration(generation),
            range: ByteRange(start: start * block, end: last), extents: extents, end: end)
    }

    @discardableResult
    func apply(
        _ generation: UInt64, _ parts: [(ExtentState, UInt64)], from start: UInt64 = 0,
        end: LayoutEnd = .unknown
    ) -> Bool {
        filter.apply(
            Self.grant(generation, parts, from: start, end: end), to: file, asGrowth: false)
    }

    /// Growth of `blocks` written blocks from a visible size on.
    @discardableResult
    func grow(
        _ generation: UInt64, visible: UInt64, blocks: UInt64, request: GrowthRequest? = nil
    ) -> Bool {
        filter.apply(
            Self.grant(
                generation, [(.written, blocks)], from: visible / Self.block,
                end: .at(sizeBytes: visible)),
            to: file, asGrowth: true, request: request)
    }

    func write(_ offset: UInt64, _ length: Int) -> WritePlan {
        filter.planWrite(file, offsetBytes: offset, lengthBytes: length)
    }

    func read(_ offset: UInt64, _ length: Int) -> ReadPlan {
        filter.planRead(file, offsetBytes: offset, lengthBytes: length)
    }

    func recall(_ range: ByteRange, _ generation: UInt64) -> EndedRecall? {
        lastTicket += 1
        return filter.recall(
            handle, range, LayoutGeneration(generation), ticket: RecallTicket(number: lastTicket),
            nowNanoseconds: 1000)
    }

    func returnGrowth() -> EndedRecall? {
        lastTicket += 1
        return filter.returnGrowth(
            file, ticket: RecallTicket(number: lastTicket), nowNanoseconds: 1000)
    }

    @discardableResult
    func end(_ token: DirectToken, succeeded: Bool = true) -> [EndedRecall] {
        filter.ended(token, succeeded: succeeded, nowNanoseconds: 900)
    }
}

extension WritePlan {
    /// A name for comparisons.
    var kind: String {
        switch self {
        case .direct: "direct"
        case .segments: "segments"
        case .needsLayout: "needsLayout"
        case .fills: "fills"
        case .extends: "extends"
        case .redirect: "redirect"
        }
    }
}

extension ReadPlan {
    var kind: String {
        switch self {
        case .direct: "direct"
        case .segments: "segments"
        case .zeros: "zeros"
        case .end: "end"
        case .needsLayout: "needsLayout"
        case .redirect: "redirect"
        }
    }

    var token: DirectToken? {
        switch self {
        case .direct(let token, _, _, _, _), .segments(let token, _, _, _): token
        default: nil
        }
    }
}
