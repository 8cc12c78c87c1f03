import Foundation
import Testing

/// What a check works with: an empty directory, and callers in it.
final class PosixContext {
    /// The check's own directory.
    let directory: String
    /// The same directory as another node shows it.
    let otherDirectory: String
    let report: Report
    let seat: Seat
    private var callers: [User: Caller] = [:]

    init(directory: String, otherDirectory: String, seat: Seat, report: Report) {
        self.directory = directory
        self.otherDirectory = otherDirectory
        self.seat = seat
        self.report = report
    }

    /// Whether this is a Covolume volume, which refuses a few things that local ones can do.
    var isVolume: Bool { seat.isVolume }

    /// The caller of a user, the same one each time.
    func caller(_ user: User) -> Caller {
        if let known = callers[user] { return known }
        let caller = another(user)
        callers[user] = caller
        return caller
    }

    var root: Caller { caller(.root) }
    var alice: Caller { caller(.alice) }
    var bob: Caller { caller(.bob) }

    /// A process of its own, on this node or on the other one.
    func another(_ user: User = .root, onOtherNode: Bool = false, program: String? = nil) -> Caller
    {
        do {
            return try Caller(
                directory: onOtherNode ? otherDirectory : directory, user: user, seat: seat,
                report: report, program: program)
        } catch {
            fatalError("posix-helper: \(error)")
        }
    }

    // MARK: Expectations

    func expect(
        _ condition: Bool, _ message: @autoclosure () -> String,
        at location: SourceLocation = #_sourceLocation
    ) {
        if !condition { report.fail(message(), at: location) }
    }

    func equal<Value: Equatable>(
        _ found: Value, _ expected: Value, _ what: String,
        at location: SourceLocation = #_sourceLocation
    ) {
        if found != expected {
            report.fail("\(what): expected \(expected), got \(found)", at: location)
        }
    }

    /// A file's times, of which an operation must change just the given ones.
    struct Times: OptionSet {
        let rawValue: Int
        static let ctime = Times(rawValue: 1)
        static let mtime = Times(rawValue: 2)
        static let both: Times = [.ctime, .mtime]
    }

    /// Holds what an operation does to files' times against what it should do.
    func changes(
        _ times: [String: Times], _ what: String,
        at location: SourceLocation = #_sourceLocation, by operation: () -> Void
    ) {
        let before = times.mapValues { _ in () }.keys.reduce(into: [:]) {
            $0[$1] = root.status($1, at: location)
        }
        pause()
        operation()
        for (path, expected) in times.sorted(by: { $0.key < $1.key }) {
            let old = before[path]!
            let new = root.status(path, at: location)
            let moved = expected.contains(.mtime) ? "move" : "stay"
            let changed = expected.contains(.ctime) ? "move" : "stay"
            expect(
                expected.contains(.mtime) ? new.mtime > old.mtime : new.mtime == old.mtime,
                "\(what): mtime of \(path) must \(moved): \(old.mtime) to \(new.mtime)",
                at: location)
            expect(
                expected.contains(.ctime) ? new.ctime > old.ctime : new.ctime == old.ctime,
                "\(what): ctime of \(path) must \(changed): \(old.ctime) to \(new.ctime)",
                at: location)
        }
    }

    /// Longer than the coarse clock that the kernel stamps files with takes to move on.
    func pause() { usleep(15_000) }

    /// Bytes that tell their place, so that misplaced ones show; none is 0, as a hole's are.
    static func pattern(_ count: Int, seed: Int = 1) -> [UInt8] {
        // A tile of a prime's length repeats at no block's or page's distance.
        let tile = (0..<min(count, 4099)).map {
            UInt8(truncatingIfNeeded: ($0 &* 31) &+ ($0 >> 8) &+ seed) | 1
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + tile.count)
        while bytes.count < count { bytes += tile }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
