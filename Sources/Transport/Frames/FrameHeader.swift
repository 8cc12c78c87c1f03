import NIOCore

/// What a frame is.
enum FrameKind: UInt8, CaseIterable {
    /// Wants a response or an error with its id.
    case request = 1
    /// Answers a request; without a body and payload it also acknowledges a oneway.
    case response = 2
    /// Wants no answer of the peer's handler; its acknowledgement only gives back the window.
    case oneway = 3
    /// Says why a request or oneway was not handled.
    case error = 4
    case ping = 5
    case pong = 6

    var bodyMaximumBytes: Int {
        switch self {
        case .request, .response, .oneway: TransportLimits.bodyMaximumBytes
        case .error: 2 + TransportLimits.errorTextMaximumBytes
        case .ping, .pong: TransportLimits.pingMaximumBytes
        }
    }

    var payloadMaximumBytes: Int {
        switch self {
        case .request, .response, .oneway: TransportLimits.payloadMaximumBytes
        case .error, .ping, .pong: 0
        }
    }
}

/// The header of a frame: 24 bytes, big-endian, then the body, then the payload.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic, `CVOL` |
/// | 4 | 1 | version |
/// | 5 | 1 | kind |
/// | 6 | 2 | flags, zero |
/// | 8 | 8 | request id |
/// | 16 | 4 | body's bytes |
/// | 20 | 4 | payload's bytes |
struct FrameHeader: Equatable {
    static let magic: UInt32 = 0x4356_4F4C
    static let version: UInt8 = 1
    static let encodedBytes = 24

    var kind: FrameKind
    var requestID: UInt64
    var bodyBytes: Int
    var payloadBytes: Int

    var frameBytes: Int { Self.encodedBytes + bodyBytes + payloadBytes }

    func encode(into buffer: inout ByteBuffer) {
        precondition(bodyBytes <= kind.bodyMaximumBytes)
        precondition(payloadBytes <= kind.payloadMaximumBytes)
        buffer.writeInteger(Self.magic)
        buffer.writeInteger(Self.version)
        buffer.writeInteger(kind.rawValue)
        buffer.writeInteger(UInt16(0))
        buffer.writeInteger(requestID)
        buffer.writeInteger(UInt32(bodyBytes))
        buffer.writeInteger(UInt32(payloadBytes))
    }

    init(kind: FrameKind, requestID: UInt64, bodyBytes: Int, payloadBytes: Int) {
        self.kind = kind
        self.requestID = requestID
        self.bodyBytes = bodyBytes
        self.payloadBytes = payloadBytes
    }

    /// Takes a header from `buffer`, which holds at least `encodedBytes`.
    init(decoding buffer: inout ByteBuffer) throws(FrameError) {
        guard let magic = buffer.readInteger(as: UInt32.self),
            let version = buffer.readInteger(as: UInt8.self),
            let rawKind = buffer.readInteger(as: UInt8.self),
            let flags = buffer.readInteger(as: UInt16.self),
            let requestID = buffer.readInteger(as: UInt64.self),
            let bodyBytes = buffer.readInteger(as: UInt32.self),
            let payloadBytes = buffer.readInteger(as: UInt32.self)
        else { preconditionFailure("a header is decoded only when it is complete") }
        guard magic == Self.magic else { throw .badMagic(magic) }
        guard version == Self.version else { throw .unsupportedVersion(version) }
        guard let kind = FrameKind(rawValue: rawKind) else { throw .unknownKind(rawKind) }
        guard flags == 0 else { throw .unknownFlags(flags) }
        guard bodyBytes <= kind.bodyMaximumBytes else {
            throw .bodyTooLarge(kind: rawKind, bytes: bodyBytes)
        }
        guard payloadBytes <= kind.payloadMaximumBytes else {
            throw .payloadTooLarge(kind: rawKind, bytes: payloadBytes)
        }
        self.init(
            kind: kind, requestID: requestID, bodyBytes: Int(bodyBytes),
            payloadBytes: Int(payloadBytes))
    }
}
