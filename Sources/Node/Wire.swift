import Foundation
import NIOCore
import Transport
import VolumeProtocol

/// What stands behind the first byte of a message between daemons.
enum WireKind: UInt8 {
    /// A ``VolumeProtocol/NodeMessage``, answered by a ``VolumeProtocol/CoordinatorReply``.
    case toCoordinator = 1
    /// A ``VolumeProtocol/CoordinatorMessage``, answered by a ``VolumeProtocol/NodeReply``.
    case toNode = 2
    /// A question of one daemon to another, answered in JSON: what a node did on its volumes.
    case statistics = 3
    /// Whether a node is there; answered with nothing.
    case heartbeat = 4
    /// A ``FencePathRequest``, answered by a ``FencePathAnswer``.
    case fencePath = 5
    /// The name of a machine that the node is to reset, answered by a ``ResetMachineAnswer``.
    case resetMachine = 6
    /// A ``ConsoleRequest``, answered by a ``ConsoleReply``.
    case console = 7
}

extension TransportMessage {
    init(_ kind: WireKind, _ message: some WireMessage, payload: ByteBuffer? = nil) {
        let bytes = message.encoded()
        var body = ByteBuffer()
        body.reserveCapacity(bytes.count + 1)
        body.writeInteger(kind.rawValue)
        body.writeBytes(bytes)
        self.init(body: body, payload: payload)
    }

    init(_ kind: WireKind, json: some Encodable) {
        var body = ByteBuffer()
        body.writeInteger(kind.rawValue)
        // Values of our own with nothing in them that JSON lacks.
        body.writeBytes((try? JSONEncoder().encode(json)) ?? Data())
        self.init(body: body)
    }

    var kind: WireKind? {
        body.getInteger(at: body.readerIndex, as: UInt8.self).flatMap(WireKind.init)
    }

    func decoded<Message: WireMessage>(as type: Message.Type) throws(DecodingFailure) -> Message {
        try Message(encoded: Array(body.readableBytesView.dropFirst()))
    }

    func decodedJSON<Value: Decodable>(as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(body.readableBytesView.dropFirst()))
    }
}
