import Foundation

/// How API values become JSON: the same bytes for the same value, on the wire and for `--json`.
enum ManagementCoding {
    /// One line, without a line's end: values travel in newline-delimited streams too.
    static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        try JSONDecoder().decode(type, from: data)
    }

    /// What is wrong with a text that could not be decoded, in words that name the field.
    static func problem(of error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            let names = path.map { key in key.intValue.map(String.init) ?? key.stringValue }
            return names.joined(separator: ".")
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context):
            "the field \"\(place(context.codingPath + [key]))\" is missing"
        case DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty,
            DecodingError.valueNotFound(_, let context) where context.codingPath.isEmpty:
            "it is JSON of another shape"
        case DecodingError.typeMismatch(let type, let context),
            DecodingError.valueNotFound(let type, let context):
            "the field \"\(place(context.codingPath))\" is not of type \(type)"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            "the field \"\(place(context.codingPath))\" has a value that it cannot have"
        default:
            "it is not JSON, or holds a number that is out of range"
        }
    }
}
