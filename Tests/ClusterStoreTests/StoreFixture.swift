import ClusterStore
import Foundation
import Logging
import Synchronization

/// A directory of its own for one test, gone with it.
final class TestDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/cs-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    var database: String { path + "/store.sqlite" }
    var socket: String { path + "/s" }
}

/// A clock that the test moves.
final class ManualClock: Sendable {
    private let now = Mutex<Int64>(1_000_000_000_000)

    var clock: StoreClock { StoreClock { self.now.withLock { $0 } } }

    func advance(seconds: Double) {
        now.withLock { $0 += Int64(seconds * 1e9) }
    }
}

/// Keeps what was logged.
final class LogRecorder: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(recorder: self) }
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message) \(event.metadata ?? [:])"
            recorder.lines.withLock { $0.append(line) }
        }
    }
}

/// An engine and its server on a Unix socket, in this process.
struct TestServer {
    let directory: TestDirectory
    let engine: SQLiteStoreEngine
    let server: StoreServer
    let log: LogRecorder

    static func start(
        _ directory: TestDirectory? = nil, log: LogRecorder = LogRecorder()
    ) async throws -> TestServer {
        let directory = try directory ?? TestDirectory()
        let engine = try SQLiteStoreEngine.open(path: directory.database)
        let server = try await StoreServer.start(
            engine: engine, socketPath: directory.socket, logger: log.logger)
        return TestServer(directory: directory, engine: engine, server: server, log: log)
    }

    func stop() async {
        await server.shutdown()
        await engine.close()
    }

    func client(timeout: Duration = .seconds(60)) -> StoreClient {
        testClient(directory.socket, timeout: timeout)
    }
}

func testClient(_ socket: String, timeout: Duration = .seconds(60)) -> StoreClient {
    var options = StoreClient.Options()
    options.requestTimeout = timeout
    options.logger.logLevel = .critical
    return StoreClient(socketPath: socket, options: options)
}

func withServer(
    _ body: (TestServer, StoreClient) async throws -> Void
) async throws {
    let server = try await TestServer.start()
    let client = server.client()
    do {
        try await body(server, client)
    } catch {
        await client.shutdown()
        await server.stop()
        throw error
    }
    await client.shutdown()
    await server.stop()
}

/// Waits until `condition` holds; false when it does not in time.
func eventually(
    seconds: Double = 10, _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// From the environment (`SEED`) or a new one; printed, so that a failure can be had again.
    static func announced(_ test: String) -> SeededGenerator {
        let given = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): SEED=\(seed)")
        return SeededGenerator(state: seed)
    }
}
