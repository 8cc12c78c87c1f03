import Foundation

/// Works on files of the node's own volumes. Through other programs: this process serves the volumes,
/// and must never wait for one itself.
enum VolumeFiles {
    static func read(_ path: String) async throws -> Data {
        try await run(["cat", "--", path])
    }

    /// Replaces the file as a whole, durably.
    static func write(_ data: Data, to path: String) async throws {
        _ = try await run(
            ["dd", "of=\(path).new", "bs=64k", "iflag=fullblock", "conv=fsync", "status=none"],
            input: data)
        _ = try await run(["mv", "-f", "--", path + ".new", path])
    }

    static func makeFolder(_ path: String) async throws {
        _ = try await run(["mkdir", "--", path])
    }

    static func copy(_ source: String, to target: String) async throws {
        _ = try await run(["cp", "--", source, target])
    }

    static func remove(_ path: String) async throws {
        _ = try await run(["rm", "-rf", "--", path])
    }

    /// Runs a program to its end.
    ///
    /// - Parameter line: called with each piece that it writes between line ends, while it runs.
    /// - Returns: what it wrote on its standard output.
    /// - Throws: ``NodeError`` with what it wrote on its standard error.
    @discardableResult
    static func run(
        _ command: [String], input: Data? = nil,
        line: (@Sendable (String) -> Void)? = nil
    ) async throws -> Data {
        try await Blocking.run {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = command
            let (output, errors, feed) = (Pipe(), Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = errors
            process.standardInput = input == nil ? FileHandle.nullDevice : feed
            do {
                try process.run()
            } catch {
                throw NodeError("\(command[0]): \(error.localizedDescription)")
            }
            if let input {
                Thread.detachNewThread {
                    try? feed.fileHandleForWriting.write(contentsOf: input)
                    try? feed.fileHandleForWriting.close()
                }
            }
            let words = Words()
            let reader = Thread {
                words.set(errors.fileHandleForReading.readDataToEndOfFile())
            }
            reader.start()
            var data = Data()
            while true {
                let piece = output.fileHandleForReading.availableData
                if piece.isEmpty { break }
                data.append(piece)
                guard let line else { continue }
                let text = String(decoding: piece, as: UTF8.self)
                for part in text.split(whereSeparator: { $0 == "\r" || $0 == "\n" }) {
                    line(String(part))
                }
            }
            process.waitUntilExit()
            let said = words.get()
            guard process.terminationStatus == 0 else {
                throw NodeError(
                    said.isEmpty
                        ? "\(command[0]) failed with status \(process.terminationStatus)" : said)
            }
            return data
        }
    }

    /// What a thread has read, for another that waits for it.
    private final class Words: @unchecked Sendable {
        // Sound: written before the signal, read after it.
        private var data = Data()
        private let done = DispatchSemaphore(value: 0)

        func set(_ data: Data) {
            self.data = data
            done.signal()
        }

        func get() -> String {
            done.wait()
            return String(decoding: data, as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}
