/// One line of the answer that follows events.
///
/// ```
/// {"event":{"sequence":17,…}}
/// ```
/// Empty lines tell that the daemon is there. A line
/// `{"error":{"code":"…","message":"…"},"status":503}` is the last one.
enum EventLine: Sendable, Equatable {
    case event(ClusterEvent)
    case error(ManagementError)
}

extension EventLine: Codable {
    private enum CodingKeys: String, CodingKey {
        case event, error, status
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let event = try container.decodeIfPresent(ClusterEvent.self, forKey: .event) {
            self = .event(event)
            return
        }
        let content = try container.decode(ErrorBody.Content.self, forKey: .error)
        let status = try container.decode(Int.self, forKey: .status)
        guard (400...599).contains(status) else {
            throw DecodingError.dataCorruptedError(
                forKey: .status, in: container, debugDescription: "not an error's status")
        }
        self = .error(
            ManagementError(code: content.code, message: content.message, status: status))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .event(let event): try container.encode(event, forKey: .event)
        case .error(let error):
            try container.encode(ErrorBody(error).error, forKey: .error)
            try container.encode(error.status, forKey: .status)
        }
    }
}
