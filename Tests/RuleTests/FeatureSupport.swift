import Testing

enum FeatureSupport {
    /// What `body` finds within a few seconds; nil where it never does.
    static func eventually<Value>(
        _ body: () async throws -> Value?
    ) async throws -> Value? {
        for _ in 0..<200 {
            if let value = try await body() { return value }
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }
}
