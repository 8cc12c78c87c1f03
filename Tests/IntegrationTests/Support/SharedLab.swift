import Testing

@testable import LabKit

/// The lab that all tests of a suite use, one after another. It comes down, and its file system is
/// checked, after the last.
struct SharedLab: SuiteTrait, TestScoping {
    @TaskLocal private static var current: Lab?

    let options: LabOptions

    init(_ options: LabOptions = .test()) { self.options = options }

    func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withLab(options) { lab in
            try await Self.$current.withValue(lab) { try await function() }
        }
    }

    /// Runs a test's body in the suite's lab; where it fails, the daemons' logs are shown.
    static func use<Value>(
        isolation: isolated (any Actor)? = #isolation, _ body: (Lab) async throws -> Value
    ) async throws -> Value {
        guard let lab = current else { preconditionFailure("the suite has no SharedLab") }
        do {
            return try await body(lab)
        } catch {
            LabDirectory.report("failed: \(error)\n\(lab.logTails())")
            throw error
        }
    }
}
