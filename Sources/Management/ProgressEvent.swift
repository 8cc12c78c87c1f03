/// One line of a long request's answer.
///
/// ```
/// {"event":"progress","message":"making an XFS file system on /dev/sdb"}
/// {"event":"result","volume":{…}}
/// ```
/// The last line is a `result` (of a removal without `volume`) or an
/// `{"event":"error","error":{"code":"…","message":"…"},"status":422}`: the HTTP status of the
/// answer was sent before the work began.
enum ProgressEvent: Sendable, Equatable {
    case progress(String)
    case result(VolumeSummary?)
    case error(ManagementError)
}

extension ProgressEvent: Codable {
    private enum CodingKeys: String, CodingKey {
        case event, message, volume, error, status
    }

    private enum Kind: String, Codable {
        case progress, result, error
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(Kind.self, forKey: .event) {
        case .progress:
            self = .progress(try container.decode(String.self, forKey: .message))
        case .result:
            self = .result(try container.decodeIfPresent(VolumeSummary.self, forKey: .volume))
        case .error:
            let content = try container.decode(ErrorBody.Content.self, forKey: .error)
            let status = try container.decode(Int.self, forKey: .status)
            guard (400...599).contains(status) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .status, in: container, debugDescription: "not an error's status")
            }
            self = .error(
                ManagementError(code: content.code, message: content.message, status: status))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .progress(let message):
            try container.encode(Kind.progress, forKey: .event)
            try container.encode(message, forKey: .message)
        case .result(let volume):
            try container.encode(Kind.result, forKey: .event)
            try container.encodeIfPresent(volume, forKey: .volume)
        case .error(let error):
            try container.encode(Kind.error, forKey: .event)
            try container.encode(ErrorBody(error).error, forKey: .error)
            try container.encode(error.status, forKey: .status)
        }
    }
}
