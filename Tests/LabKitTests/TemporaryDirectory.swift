import Foundation

@testable import LabKit

/// A directory of one test, removed with its last user, unless something is mounted in it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        guard let path = try? LabDirectory.makeTemporary() else {
            preconditionFailure("no directory below /tmp")
        }
        self.path = path
    }

    deinit { LabDirectory.remove(path) }
}
