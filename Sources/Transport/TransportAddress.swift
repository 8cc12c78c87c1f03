import NIOCore

/// Where a server listens: `host:port`, an IPv6 address in brackets.
public struct TransportAddress: Sendable, Hashable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `10.0.0.1:7400`, `node1:7400` or `[fd00::1]:7400`.
    public init(_ text: String) throws(TransportError) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { throw Self.malformed(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { throw Self.malformed(text) }
        } else if host.contains(where: { ":[]".contains($0) }) {
            throw Self.malformed(text)
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else {
            throw Self.malformed(text)
        }
        self.init(host: String(host), port: port)
    }

    init?(_ address: SocketAddress?) {
        guard let host = address?.ipAddress, let port = address?.port,
            let port = UInt16(exactly: port)
        else { return nil }
        self.init(host: host, port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func malformed(_ text: String) -> TransportError {
        TransportError(
            .address, "\"\(text)\" is not an address: write host:port, or [address]:port for IPv6")
    }
}
