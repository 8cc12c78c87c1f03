import Foundation
import MachineSupervision

/// How far a migration is.
public struct MigrationProgress: Hashable, Sendable {
    public var transferredBytes: UInt64
    public var remainingBytes: UInt64
    public var totalBytes: UInt64
    public var dirtyBytesPerSecond: UInt64
    public var expectedBlackoutMilliseconds: UInt64
    /// How much the guest is slowed down so that the sending keeps up.
    public var throttlePercent: UInt64
}

/// Where a migration goes, and what it may cost.
public struct MigrationTarget: Sendable {
    public var arrival: MigrationArrival
    /// The name in the target's certificate.
    public var hostName: String
    /// The longest pause that is aimed at.
    public var blackoutMilliseconds: Int64
    /// After which time it is given up.
    public var limit: Duration

    public init(
        arrival: MigrationArrival, hostName: String, blackoutMilliseconds: Int64 = 100,
        limit: Duration = .seconds(600)
    ) {
        self.arrival = arrival
        self.hostName = hostName
        self.blackoutMilliseconds = blackoutMilliseconds
        self.limit = limit
    }
}

/// Where a copy takes a stream, and how: the target decides, the source follows.
public struct MigrationArrival: Hashable, Sendable, CustomStringConvertible {
    /// `address:port`
    public var address: String
    /// Connections that carry memory beside the stream's own (QEMU's multifd); 0: that one carries all.
    public var channels: Int

    public init(address: String, channels: Int = 0) {
        self.address = address
        self.channels = channels
    }

    /// From what ``description`` made of it.
    public init(_ description: String) throws {
        let words = description.split(separator: " ")
        let channels = words.count == 2 ? Int(words[1]) : 0
        guard (1...2).contains(words.count), let channels, (0...255).contains(channels) else {
            throw MachineError("'\(description)' is no address of a migration")
        }
        self.init(address: String(words[0]), channels: channels)
    }

    /// `address:port`, or `address:port channels`
    public var description: String { channels == 0 ? address : "\(address) \(channels)" }

    /// One connection's encryption is one processor's work: memory from this size goes over more of them.
    /// Measured: docs/testing.md.
    static func channels(memoryBytes: Int64) -> Int { memoryBytes >= 1 << 30 ? 2 : 0 }
}

extension MachineProcess {
    private static let poll = Duration.milliseconds(10)

    /// Makes a copy that was started as incoming take streams on a port of its own.
    ///
    /// - Parameter credentials: a folder with `ca-cert.pem`, `server-cert.pem`, `server-key.pem`.
    public func receive(address: String, credentials: String) async throws -> MigrationArrival {
        let memory = try await monitor.execute("query-memory-size-summary")["base-memory"]
        return try await receive(
            address: address, credentials: credentials,
            channels: MigrationArrival.channels(memoryBytes: memory?.integer ?? 0))
    }

    /// The same, with that many channels.
    func receive(
        address: String, credentials: String, channels: Int
    ) async throws -> MigrationArrival {
        try await prepareStream(
            credentials, endpoint: "server", hostName: nil, channels: channels)
        let host = address.contains(":") ? "[\(address)]" : address
        try await monitor.execute("migrate-incoming", ["uri": .string("tcp:\(host):0")])
        let answer = try await monitor.execute("query-migrate")
        guard let port = answer["socket-address"]?[0]?["port"]?.text else {
            throw MachineError("QEMU does not tell on which port it listens")
        }
        return MigrationArrival(address: "\(host):\(port)", channels: channels)
    }

    /// Takes a saved state, into a copy that was started as incoming.
    public func restore(from path: String) async throws {
        let state = Self.quoted(path)
        try await monitor.execute("migrate-incoming", ["uri": .string("exec:cat \(state)")])
        try await arrived()
    }

    /// Returns when the stream is complete.
    public func arrived() async throws {
        while true {
            let answer = try await monitor.execute("query-migrate")
            switch answer["status"]?.text {
            case "completed": return
            case "failed", "cancelled":
                throw MachineError("the stream broke: \(directory.lastOutput)")
            default: try await Task.sleep(for: Self.poll)
            }
        }
    }

    /// Sends the copy. When this returns, the target has all of it and the processors here stand still;
    /// when it throws, the guest runs on here.
    ///
    /// - Parameter credentials: a folder with `ca-cert.pem`, `client-cert.pem`, `client-key.pem`.
    public func send(
        to target: MigrationTarget, credentials: String,
        progress: @Sendable (MigrationProgress) async -> Void
    ) async throws {
        try await prepareStream(
            credentials, endpoint: "client", hostName: target.hostName,
            channels: target.arrival.channels)
        try await monitor.execute(
            "migrate-set-parameters",
            ["downtime-limit": .integer(target.blackoutMilliseconds), "max-bandwidth": 0])
        try await monitor.execute("migrate", ["uri": .string("tcp:\(target.arrival.address)")])
        try await finishSending(limit: target.limit, progress)
    }

    /// The sending ends with an error, and the guest runs on here, unless all was there already.
    public func cancelSending() async throws { try await monitor.execute("migrate_cancel") }

    /// Stops the guest and saves its state; when this throws, its processors stand still.
    public func save(
        to path: String, progress: @Sendable (MigrationProgress) async -> Void
    ) async throws {
        try await monitor.execute("stop")
        let (new, state) = (Self.quoted(path + ".new"), Self.quoted(path))
        // The name is there only once all of it is on the volume.
        let command =
            "exec:dd of=\(new) bs=1M iflag=fullblock conv=fsync status=none && mv \(new) \(state)"
        try await setCapabilities([
            "auto-converge": false, "multifd": false, "return-path": false,
        ])
        try await monitor.execute("migrate-set-parameters", ["max-bandwidth": 0, "tls-creds": ""])
        try await monitor.execute("migrate", ["uri": .string(command)])
        try await finishSending(limit: .seconds(3600), progress)
        let deadline = ContinuousClock.now + .seconds(60)
        while access(path, F_OK) != 0 {
            guard ContinuousClock.now < deadline else {
                throw MachineError("the state could not be written to \(path)")
            }
            try await Task.sleep(for: Self.poll)
        }
    }

    private func finishSending(
        limit: Duration, _ progress: @Sendable (MigrationProgress) async -> Void
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var isLate = false
        while true {
            let answer = try await monitor.execute("query-migrate")
            await progress(MigrationProgress(answer))
            switch answer["status"]?.text {
            case "completed": return
            case "cancelled":
                throw MachineError(
                    isLate ? "it took longer than \(limit)" : "the migration was cancelled")
            case "failed":
                throw MachineError(
                    "the migration failed: \(answer["error-desc"]?.text ?? "the stream broke")")
            default: break
            }
            if !isLate, ContinuousClock.now > deadline {
                isLate = true
                try await cancelSending()
            }
            try await Task.sleep(for: Self.poll)
        }
    }

    /// Nothing on its way to another node, whatever an earlier daemon had begun. True: another node has
    /// all of it.
    public func settleStreams() async throws -> Bool {
        while true {
            let answer = try await monitor.execute("query-migrate")
            switch answer["status"]?.text {
            case nil, "none", "failed", "cancelled": return false
            case "completed": return try await status() == .sent
            case "cancelling": break
            default: try await cancelSending()
            }
            try await Task.sleep(for: Self.poll)
        }
    }

    private func prepareStream(
        _ credentials: String, endpoint: String, hostName: String?, channels: Int
    ) async throws {
        // Of an earlier attempt.
        _ = try? await monitor.execute("object-del", ["id": "tls"])
        try await monitor.execute(
            "object-add",
            [
                "qom-type": "tls-creds-x509", "id": "tls", "dir": .string(credentials),
                "endpoint": .string(endpoint), "verify-peer": true,
            ])
        var parameters: [String: JSONValue] = ["tls-creds": "tls"]
        parameters["tls-hostname"] = hostName.map { .string($0) }
        if channels > 0 { parameters["multifd-channels"] = .integer(Int64(channels)) }
        try await monitor.execute("migrate-set-parameters", .object(parameters))
        // With the way back open, the source's end of it means that the target could load everything.
        try await setCapabilities([
            "auto-converge": true, "multifd": channels > 0, "return-path": true,
        ])
    }

    private func setCapabilities(_ capabilities: [String: Bool]) async throws {
        let list = capabilities.sorted { $0.key < $1.key }.map { name, state in
            JSONValue.object(["capability": .string(name), "state": .bool(state)])
        }
        try await monitor.execute(
            "migrate-set-capabilities", ["capabilities": .array(list)])
    }

    /// For the shell that QEMU's `exec:` starts.
    private static func quoted(_ path: String) -> String {
        "'" + path.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}

extension MigrationProgress {
    /// From an answer to `query-migrate`.
    init(_ answer: JSONValue) {
        func number(_ value: JSONValue?) -> UInt64 { UInt64(max(0, value?.double ?? 0)) }
        let memory = answer["ram"]
        transferredBytes = number(memory?["transferred"])
        remainingBytes = number(memory?["remaining"])
        totalBytes = number(memory?["total"])
        dirtyBytesPerSecond =
            number(memory?["dirty-pages-rate"]) * max(4096, number(memory?["page-size"]))
        expectedBlackoutMilliseconds = number(
            answer["downtime"] ?? answer["expected-downtime"])
        throttlePercent = number(answer["cpu-throttle-percentage"])
    }
}
