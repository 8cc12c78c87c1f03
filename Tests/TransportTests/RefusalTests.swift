import ClusterAuthority
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    /// Connects with a TLS configuration of the test's own and sends bytes, and more after the
    /// first that come back.
    ///
    /// - Returns: what came back until the server closed.
    private func probe(
        _ server: TransportServer, _ configuration: TLSConfiguration, send data: ByteBuffer,
        then more: ByteBuffer = ByteBuffer(), group: any EventLoopGroup
    ) async throws -> ByteBuffer {
        let context = try NIOSSLContext(configuration: configuration)
        let address = server.addresses[0]
        let collector = group.any().makePromise(of: ByteBuffer.self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: context, serverHostname: nil),
                        Collector(then: more, done: collector),
                    ])
                }
            }
            .connect(host: address.host, port: Int(address.port)).get()
        channel.writeAndFlush(data, promise: nil)
        return try await collector.futureResult.get()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var received = ByteBuffer()
        private let done: EventLoopPromise<ByteBuffer>

        private let more: ByteBuffer

        init(then more: ByteBuffer, done: EventLoopPromise<ByteBuffer>) {
            self.more = more
            self.done = done
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            if received.readableBytes == 0 {
                context.writeAndFlush(NIOAny(more), promise: nil)
            }
            received.writeBuffer(&part)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }

        func handlerRemoved(context: ChannelHandlerContext) { done.succeed(received) }
    }

    private func tls(_ credentials: NodeCredentials?) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        if let credentials {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(
                Array(credentials.certificatePEM.utf8)
            ).map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(credentials.privateKeyPEM.utf8), format: .pem))
        }
        return configuration
    }

    private var greeting: ByteBuffer {
        var buffer = ByteBuffer()
        FrameHeader(kind: .ping, requestID: 0, bodyBytes: 1, payloadBytes: 0).encode(into: &buffer)
        buffer.writeInteger(Lane.metadata.rawValue)
        return buffer
    }

    @Test func `the probe itself is answered when its certificate is right`() async throws {
        let cluster = try TestCluster()
        let server = try await cluster.server(handlers: echo)
        let junk = ByteBuffer(string: String(repeating: "junk", count: 10))
        let answer = try await probe(
            server, tls(cluster.authority.issueNodeCertificate(node: "n")), send: greeting,
            then: junk, group: cluster.group)
        #expect(answer.readableBytes == FrameHeader.encodedBytes)
        #expect(await eventually { cluster.log.contains("reason=protocolViolation") })
        #expect(cluster.log.contains("peer=n"))
        await server.close()
    }

    @Test func `no certificate, another cluster's, TLS 1.2: nothing, and a logged reason`()
        async throws
    {
        let cluster = try TestCluster(clusterID: "same")
        let other = try TestCluster(clusterID: "same")
        let server = try await cluster.server(handlers: echo)
        var old = try tls(cluster.authority.issueNodeCertificate(node: "n"))
        old.maximumTLSVersion = .tlsv12
        let configurations = [
            try tls(nil), try tls(other.authority.issueNodeCertificate(node: "n")), old,
        ]
        for (index, configuration) in configurations.enumerated() {
            let answer = try await probe(
                server, configuration, send: greeting, group: cluster.group)
            #expect(answer.readableBytes == 0, "configuration \(index)")
        }
        #expect(server.connections.isEmpty)
        for reason in [
            "PEER_DID_NOT_RETURN_A_CERTIFICATE", "CERTIFICATE_VERIFY_FAILED",
            "UNSUPPORTED_PROTOCOL",
        ] {
            #expect(
                await eventually { cluster.log.contains(reason) },
                "\(reason) not in \(cluster.log.text)")
        }
        await server.close()
    }

    @Test func `an expired certificate is refused`() async throws {
        let now = Date()
        let issued = now - TimeInterval(AuthorityLimits.nodeValiditySeconds + 7_200)
        let authority = try CertificateAuthority.create(clusterName: "lab", now: issued)
        let expired = try authority.issueNodeCertificate(node: "n", now: issued)
        let cluster = TestCluster(authority: authority)
        let server = try await cluster.server(handlers: echo)
        let answer = try await probe(server, tls(expired), send: greeting, group: cluster.group)
        #expect(answer.readableBytes == 0)
        #expect(await eventually { cluster.log.contains("CERTIFICATE_VERIFY_FAILED") })
        await server.close()
    }

    @Test func `a client refuses a server of another cluster`() async throws {
        let cluster = try TestCluster(clusterID: "same")
        let other = try TestCluster(clusterID: "same")
        let server = try await other.server(handlers: echo)
        let client = try cluster.client(at: server.addresses)
        client.start()
        #expect(await eventually { cluster.log.contains("CERTIFICATE_VERIFY_FAILED") })
        #expect(!client.isConnected)
        await client.close()
        await server.close()
    }

    @Test func `a client refuses another node of its own cluster`() async throws {
        let cluster = try TestCluster()
        let server = try await cluster.server("node2", handlers: echo)
        let client = try cluster.client(of: "node1", at: server.addresses)
        client.start()
        #expect(await eventually { cluster.log.contains("reason=handshakeFailed") })
        #expect(!client.isConnected)
        await client.close()
        await server.close()
    }

    @Test func `what is not TLS is refused`() async throws {
        let cluster = try TestCluster()
        let server = try await cluster.server(handlers: echo)
        let address = server.addresses[0]
        let channel = try await ClientBootstrap(group: cluster.group)
            .connect(host: address.host, port: Int(address.port)).get()
        try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        try await channel.closeFuture.get()
        #expect(await eventually { cluster.log.contains("reason=handshakeFailed") })
        await server.close()
    }

    @Test func `an address that is taken or unreadable is named`() async throws {
        let cluster = try TestCluster()
        let server = try await cluster.server(handlers: echo)
        await #expect {
            try await cluster.server(at: server.addresses[0].description, handlers: echo)
        } throws: {
            guard let error = $0 as? TransportError else { return false }
            return error.code == .address && error.message.contains("\(server.addresses[0])")
        }
        await server.close()
        for text in [
            "", "host", "host:", ":1", "::1:5", "[::1]", "[::1]:70000", "[host]:1", "a b:1",
        ] {
            #expect(throws: TransportError.self, "\(text)") { try TransportAddress(text) }
        }
        #expect(try TransportAddress("[fd00::1]:7400").description == "[fd00::1]:7400")
        #expect(try TransportAddress("10.0.0.1:7400").host == "10.0.0.1")
    }
}
