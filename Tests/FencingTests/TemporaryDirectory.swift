import Foundation

/// A directory of one test, removed with its owner.
final class TemporaryDirectory {
    let path: String

    init() {
        path = "/tmp/covol-fencing-\(UUID().uuidString.prefix(13))"
        precondition(mkdir(path, 0o700) == 0, "no directory \(path)")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a program that can be run at once.
    func script(_ name: String, _ lines: String) throws -> String {
        let file = "\(path)/\(name)"
        try Data("#!/bin/sh\n\(lines)\n".utf8).write(to: URL(filePath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file)
        return file
    }

    func contents(_ name: String) throws -> String {
        try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
    }
}
