import Foundation
import LabKit
import Testing

/// The file systems that every check runs on: local ones, which show what the kernel's own do and
/// so test the checks, and Covolume's volumes.
enum Place: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case localXFS
    case localExt4
    case volumeXFS
    case volumeExt4

    /// Those that COVOL_POSIX_PLACES names, with commas between; without it all.
    static let all: [Place] = {
        guard let wanted = ProcessInfo.processInfo.environment["COVOL_POSIX_PLACES"] else {
            return allCases
        }
        return allCases.filter { wanted.split(separator: ",").contains(Substring($0.rawValue)) }
    }()

    var testDescription: String { rawValue }
    var isVolume: Bool { self == .volumeXFS || self == .volumeExt4 }
    var fileSystem: LabFileSystem { self == .localXFS || self == .volumeXFS ? .xfs : .ext4 }

    /// Runs a check in an empty directory of this place, and records what it found.
    func check(
        _ body: @escaping @Sendable (PosixContext) -> Void,
        named function: String = #function
    ) async throws {
        guard let places = Places.current else {
            fatalError("checks belong into the suite PosixTests")
        }
        let name = String(function.prefix { $0 != "(" })
        let seat = try await places.seat(of: self)
        let report = Report()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            // A thread of its own: Swift's are few, and these calls may wait.
            let thread = Thread {
                run(body, named: name, in: seat, report: report)
                done.resume()
            }
            thread.stackSize = 4 << 20
            thread.start()
        }
        for failure in report.failures {
            Issue.record("\(rawValue): \(failure.message)", sourceLocation: failure.location)
        }
        if report.isHung { await places.abandon(self) }
    }

    private func run(
        _ body: (PosixContext) -> Void, named name: String, in seat: Seat, report: Report
    ) {
        do {
            let maker = try Caller(directory: seat.directory, seat: seat, report: report)
            maker.mkdir(name, 0o755).ok()
            maker.chmod(name, 0o755).ok()
            guard report.failures.isEmpty else { return }
            body(
                PosixContext(
                    directory: seat.directory + "/" + name,
                    otherDirectory: seat.otherDirectory + "/" + name, seat: seat,
                    report: report))
            maker.start(
                "exec", ["/bin/rm", "-rf", "--", name].map { Argument.text($0) })
            maker.finish(withinSeconds: 120).returns(0, "to remove the check's directory")
        } catch {
            report.fail("\(error)", at: #_sourceLocation)
        }
    }
}
