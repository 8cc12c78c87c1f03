import CoordinatorService
import Logging
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// The way from a coordinator of this node to a mount on another node.
final class PeerPort: NodePort {
    private let server: @Sendable () -> [PeerConnection]
    private let header: MessageHeader
    private let log: Logger

    init(
        header: MessageHeader, connections: @escaping @Sendable () -> [PeerConnection], log: Logger
    ) {
        self.header = header
        server = connections
        self.log = log
    }

    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport? {
        guard case .returned(let report)? = await ask(.recall(header, file, range, generation))
        else {
            return nil
        }
        return report
    }

    func collectWrites(_ file: FileHandle) async -> WriteReport? {
        guard case .collected(let report)? = await ask(.collectWrites(header, file)) else {
            return nil
        }
        return report
    }

    func recallMetadata(_ file: FileHandle) async -> Bool {
        if case .returned? = await ask(.recallMetadata(header, file)) { true } else { false }
    }

    /// All questions may be asked again: a node that has nothing says so.
    private func ask(_ message: CoordinatorMessage) async -> NodeReply? {
        for _ in 0..<NodeLimits.recallAttemptsMaximum {
            if let connection = server().first(where: { $0.lane == .metadata }) {
                do {
                    let answer = try await connection.call(TransportMessage(.toNode, message))
                    return try answer.decoded(as: NodeReply.self)
                } catch {
                    log.warning("a recall found no answer", metadata: ["error": "\(error)"])
                }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return nil
    }
}

/// The way from a coordinator to the mount on its own node.
final class LocalPort: NodePort {
    private let mount: @Sendable () -> VolumeMount?

    init(mount: @escaping @Sendable () -> VolumeMount?) { self.mount = mount }

    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport? {
        guard let mount = mount() else { return WriteReport() }
        return await mount.recall(file, range, generation)
    }

    func collectWrites(_ file: FileHandle) async -> WriteReport? {
        mount()?.collectWrites(file) ?? WriteReport()
    }

    func recallMetadata(_ file: FileHandle) async -> Bool {
        mount()?.recallMetadata(file)
        return true
    }
}

enum NodeLimits {
    /// A node that does not answer within this many attempts keeps its layouts until it is fenced.
    static let recallAttemptsMaximum = 1_000
}
