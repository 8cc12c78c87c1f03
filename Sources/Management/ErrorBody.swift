/// `{"error":{"code":"…","message":"…"}}`, the body of every answer with an error's status.
struct ErrorBody: Codable, Sendable, Equatable {
    struct Content: Codable, Sendable, Equatable {
        var code: String
        var message: String
    }

    var error: Content

    init(_ error: ManagementError) {
        self.error = Content(
            code: error.code,
            message: error.message.cut(
                toScalars: ManagementLimits.errorMessageMaximumScalars))
    }
}

extension String {
    /// The string's start. Scalars, because a single character can have any number of bytes.
    func cut(toScalars maximum: Int) -> String {
        String(String.UnicodeScalarView(unicodeScalars.prefix(maximum)))
    }
}
