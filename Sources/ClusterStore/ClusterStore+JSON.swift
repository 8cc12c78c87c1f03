import Foundation

/// A value that was decoded from JSON, and the entry it came from.
public struct Decoded<Value: Sendable>: Sendable {
    public var value: Value
    public var entry: KeyValue

    public init(value: Value, entry: KeyValue) {
        self.value = value
        self.entry = entry
    }
}

extension KeyValue {
    /// The value as JSON. Throws `DecodingError`.
    public func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(value))
    }
}

extension StoreOperation {
    /// A put of `value` as JSON with sorted keys, so that equal values are equal bytes.
    public static func putJSON(
        _ key: String, _ value: some Encodable, lease: LeaseID? = nil
    ) throws -> StoreOperation {
        .put(key, try encodedJSON(value), lease: lease)
    }

    static func encodedJSON(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
}

extension ClusterStore {
    /// The key's value from JSON; nil when the key does not exist. Throws also `DecodingError`.
    public func getJSON<Value: Decodable & Sendable>(
        _ key: String, as type: Value.Type = Value.self
    ) async throws -> Decoded<Value>? {
        guard let entry = try await get(key).entry else { return nil }
        return Decoded(value: try entry.decoded(as: type), entry: entry)
    }

    /// Returns the revision of the change. Throws also `EncodingError`.
    @discardableResult
    public func putJSON(
        _ key: String, _ value: some Encodable, lease: LeaseID? = nil
    ) async throws -> StoreRevision {
        try await put(key, StoreOperation.encodedJSON(value), lease: lease)
    }

    /// `compareAndPut` of a value as JSON.
    public func compareAndPutJSON(
        _ key: String, modRevision: StoreRevision, _ value: some Encodable, lease: LeaseID? = nil
    ) async throws -> StoreRevision? {
        try await compareAndPut(
            key, modRevision: modRevision, StoreOperation.encodedJSON(value), lease: lease)
    }
}
