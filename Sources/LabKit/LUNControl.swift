import Foundation
import Glibc

/// The simulated LUN's control socket: a line of JSON each way.
public struct LUNControl: Sendable {
    /// One node's path.
    public struct Path: Codable, Sendable, Equatable {
        public struct Counters: Codable, Sendable, Equatable {
            public var reads: UInt64
            public var writes: UInt64
            public var discards: UInt64
            public var flushes: UInt64
            public var failed: UInt64
            public var conflicts: UInt64
        }

        public var name: String
        /// `ok`, `fail`, `hang`, `slow` or `cut`.
        public var fault: String
        public var milliseconds: Int?
        /// `armed`, or `held` once a write is held back.
        public var lateWrite: String?
        /// The registered reservation key in hexadecimal.
        public var key: String?
        public var held: Int
        public var counters: Counters
    }

    public struct Reservation: Codable, Sendable, Equatable {
        public var type: UInt8
        public var maker: String
    }

    public struct Status: Codable, Sendable, Equatable {
        public var paths: [Path]
        public var reservation: Reservation?
        /// Of the last write that landed.
        public var lastSequence: UInt64
    }

    /// A write that landed.
    public struct Access: Codable, Sendable, Equatable {
        public var sequence: UInt64
        public var path: String
        public var kind: String
        public var late: Bool
        public var offset: UInt64
        public var length: UInt64
        /// CLOCK_BOOTTIME.
        public var startedNanoseconds: UInt64
        public var landedNanoseconds: UInt64
    }

    private struct Accesses: Codable {
        var firstSequence: UInt64
        var lastSequence: UInt64
        var entries: [Access]
    }

    private struct Request: Encodable {
        var command: String
        var path: String?
        var kind: String?
        var milliseconds: Int?
        var sinceSequence: UInt64?
    }

    private struct Failure: Decodable {
        var error: String?
    }

    let socket: String

    public init(socket: String) { self.socket = socket }

    public func status() async throws(LabError) -> Status {
        try await ask(Request(command: "status"))
    }

    /// All writes that landed after the one with this number and are still remembered.
    public func accesses(since sequence: UInt64 = 0) async throws(LabError) -> [Access] {
        var entries: [Access] = []
        var next = sequence
        while true {
            let answer: Accesses = try await ask(
                Request(command: "accesses", sinceSequence: next))
            guard let last = answer.entries.last else { return entries }
            entries += answer.entries
            next = last.sequence
        }
    }

    /// Sets a path's fault, by the simulator's own word, and returns when it is in force.
    public func setFault(
        path: String, kind: String, milliseconds: Int? = nil
    ) async throws(LabError) {
        struct Done: Decodable {
            var ok: Bool
        }
        let _: Done = try await ask(
            Request(command: "fault", path: path, kind: kind, milliseconds: milliseconds))
    }

    /// For going down: makes paths work that neither are cut nor hold a late write back. Whatever
    /// stands in the way is no obstacle.
    func restoreBlocking() {
        guard let status: Status = try? askBlocking(Request(command: "status")) else { return }
        struct Done: Decodable {
            var ok: Bool
        }
        for path in status.paths
        where path.fault != "cut" && path.fault != "ok" && path.lateWrite == nil {
            let request = Request(command: "fault", path: path.name, kind: "restore")
            let _: Done? = try? askBlocking(request)
        }
    }

    private func ask<Answer: Decodable & Sendable>(
        _ request: Request
    ) async throws(LabError) -> Answer {
        try await Blocking.run { () throws(LabError) in try self.askBlocking(request) }
    }

    private func askBlocking<Answer: Decodable>(
        _ request: Request
    ) throws(LabError) -> Answer {
        guard let line = try? JSONEncoder().encode(request) else {
            preconditionFailure("a request of plain values encodes")
        }
        let bytes = try UnixSocket.exchange(
            Array(line) + [UInt8(ascii: "\n")], with: socket)
        if let failure = try? JSONDecoder().decode(Failure.self, from: Data(bytes)),
            let error = failure.error
        {
            throw LabError(.commandFailed, "the LUN simulator: \(error)")
        }
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(bytes))
        } catch {
            throw LabError(
                .commandFailed,
                "the LUN simulator at \(socket) answered "
                    + (bytes.isEmpty ? "nothing" : String(decoding: bytes, as: UTF8.self)))
        }
    }
}
