import LabKit
import Testing

extension IntegrationTests {
    /// Who has no certificate of the cluster, or sends what nobody should, gets nothing and breaks
    /// nothing.
    @Suite(SharedLab()) struct StrangerTests {
        /// Connects to a daemon's port and says what came of it: `refused` where the connection ended
        /// without a byte of answer.
        private static let script = """
            import random, socket, ssl, struct, sys
            mode, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
            random.seed(1)
            plain = socket.create_connection((host, port), 10)
            plain.settimeout(15)
            got = b''
            try:
                if mode == 'plain':
                    plain.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n' + random.randbytes(4096))
                    got = plain.recv(4096)
                    # A TLS alert is all that may come back.
                    got = b'' if got[:1] == b'\\x15' else got
                else:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                    if mode == 'old':
                        context.maximum_version = ssl.TLSVersion.TLSv1_2
                    if mode not in ('anonymous', 'old'):
                        context.load_cert_chain(sys.argv[4], sys.argv[5])
                    stream = context.wrap_socket(plain, server_hostname='node')
                    data = {'huge': struct.pack('>I', 0xffffffff) * 16,
                            'empty': bytes(64)}.get(mode, random.randbytes(65536))
                    stream.sendall(data)
                    got = stream.recv(4096)
            except (ssl.SSLError, ConnectionError) as error:
                print('ended', type(error).__name__)
            if got:
                sys.exit('served: %r' % got[:64])
            print('refused')
            """

        @Test func strangersAndDamagedFramesGetNothing() async throws {
            try await SharedLab.use { lab in
                let (from, to) = (lab.node(1), lab.node(2))
                let before = to.daemon
                try await from.shell("echo before >strangers")
                let pki = from.plan.directory + "/pki"
                try await from.check(
                    [
                        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                        "/CN=node1", "-keyout", from.plan.directory + "/stranger.key", "-out",
                        from.plan.directory + "/stranger.pem",
                    ])
                let stranger = [
                    from.plan.directory + "/stranger.pem", from.plan.directory + "/stranger.key",
                ]
                let own = [pki + "/node.pem", pki + "/node-key.pem"]
                let attempts: [(String, [String])] = [
                    ("plain", []), ("anonymous", []), ("old", []), ("stranger", stranger),
                    ("random", own), ("huge", own), ("empty", own),
                ]
                for (mode, files) in attempts {
                    let address = to.plan.clusterAddress
                    let result = try await from.run(
                        ["python3", "-c", Self.script, mode, address, "\(LabNodePlan.port)"]
                            + files, timeoutSeconds: 40)
                    #expect(
                        result.status == 0 && result.stdout.contains("refused"),
                        "\(mode): \(result.stdout)\(result.stderr)")
                }
                #expect(to.isAlive && to.daemon == before)
                try await to.shell("grep -q before strangers; echo after >strangers")
                try await from.shell("grep -q after strangers")
            }
        }
    }
}
