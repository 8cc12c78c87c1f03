import Foundation

/// A directory of one test, removed when the test ends.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "covolume-authority-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func mode(of path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try require(attributes[.posixPermissions] as? Int)
    }

    private func require<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw CocoaError(.fileReadUnknown) }
        return value
    }
}
