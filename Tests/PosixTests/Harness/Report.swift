import Testing

/// What a check found wrong. Checks run on threads of their own, where Swift Testing knows no
/// current test; their test records the report afterwards. One thread at a time uses it.
final class Report: @unchecked Sendable {  // Sound: handed over with the thread's end.
    struct Failure {
        let message: String
        let location: SourceLocation
    }

    private(set) var failures: [Failure] = []
    private(set) var isHung = false

    func fail(_ message: String, at location: SourceLocation) {
        // After a hang every further call fails: that says nothing more.
        if !isHung { failures.append(Failure(message: message, location: location)) }
    }

    func hang(_ message: String, at location: SourceLocation) {
        fail(message, at: location)
        isHung = true
    }
}
