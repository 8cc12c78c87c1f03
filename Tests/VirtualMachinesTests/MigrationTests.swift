import ClusterAuthority
import Foundation
import Testing

@testable import VirtualMachines

/// Streams between two real QEMUs on this host, with a cluster's certificates.
@Suite(.serialized, .needsQEMU)
struct MigrationTests {
    private static let clusterID = "migration-tests"
    private static let hostName = AuthorityNames.dnsName(node: "node1", clusterID: clusterID)
    private static let memoryBytes: UInt64 = 256 << 20

    /// A folder with the names that QEMU looks for.
    private func withCredentials(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "covol-vm-tls-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let certificates = CertificateDirectory(path: folder)
        let authority = try certificates.createAuthority(
            clusterName: "test", clusterID: Self.clusterID)
        try certificates.store(try authority.issueNodeCertificate(node: "node1"))
        for (name, file) in [
            ("ca-cert", "ca"), ("server-cert", "node"), ("server-key", "node-key"),
            ("client-cert", "node"), ("client-key", "node-key"),
        ] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/\(name).pem", withDestinationPath: "\(file).pem")
        }
        try await body(folder)
    }

    private func target(_ arrival: MigrationArrival) -> MigrationTarget {
        MigrationTarget(arrival: arrival, hostName: Self.hostName, limit: .seconds(60))
    }

    @Test(arguments: [0, 2]) func allOfItArrives(_ channels: Int) async throws {
        try await withCredentials { credentials in
            try await withCopy(memoryBytes: Self.memoryBytes, isIncoming: true) { receiver in
                try await withCopy(memoryBytes: Self.memoryBytes) { sender in
                    try await sender.run()
                    let arrival = try await receiver.receive(
                        address: "127.0.0.1", credentials: credentials, channels: channels)
                    #expect(arrival.channels == channels)
                    try await sender.send(to: target(arrival), credentials: credentials) { _ in }
                    try await receiver.arrived()
                    try await expectStatus(.sent, sender)
                    try await expectStatus(.standing, receiver)
                    let memory = try await sender.monitor.execute("query-migrate")["ram"]
                    let parallel = try #require(memory?["multifd-bytes"]?.integer)
                    #expect((parallel > 0) == (channels > 0))
                    try await receiver.run()
                    try await expectStatus(.running, receiver)
                }
            }
        }
    }

    /// One that was cancelled leaves the guest running here, and nothing in the way of the next one, nor
    /// of a saved state.
    @Test(arguments: [0, 2]) func aCancelledOneLeavesNothing(_ channels: Int) async throws {
        try await withCredentials { credentials in
            try await withCopy(memoryBytes: Self.memoryBytes) { sender in
                try await sender.run()
                try await withCopy(memoryBytes: Self.memoryBytes, isIncoming: true) { receiver in
                    let arrival = try await receiver.receive(
                        address: "127.0.0.1", credentials: credentials, channels: channels)
                    await #expect(throws: MachineError("the migration was cancelled")) {
                        try await sender.send(to: target(arrival), credentials: credentials) { _ in
                            try? await sender.cancelSending()
                        }
                    }
                    try await expectStatus(.running, sender)
                }
                try await withCopy(memoryBytes: Self.memoryBytes, isIncoming: true) { receiver in
                    let arrival = try await receiver.receive(
                        address: "127.0.0.1", credentials: credentials, channels: channels)
                    receiver.kill()
                    await #expect(throws: MachineError.self) {
                        try await sender.send(to: target(arrival), credentials: credentials) { _ in
                        }
                    }
                    try await expectStatus(.running, sender)
                }
                let state = NSTemporaryDirectory() + "covol-vm-\(UInt32.random(in: 0 ... .max))"
                defer { try? FileManager.default.removeItem(atPath: state) }
                try await sender.save(to: state) { _ in }
                try await withCopy(memoryBytes: Self.memoryBytes, isIncoming: true) { receiver in
                    try await receiver.restore(from: state)
                    try await expectStatus(.standing, receiver)
                }
            }
        }
    }

    @Test func onlyLargeOnesTakeSeveralConnections() {
        #expect(MigrationArrival.channels(memoryBytes: 1 << 30) == 2)
        #expect(MigrationArrival.channels(memoryBytes: 1 << 29) == 0)
    }

    @Test func anAddressIsReadBack() throws {
        for text in ["10.0.0.1:4000", "[fd00::1]:4000 2"] {
            #expect(try MigrationArrival(text).description == text)
        }
        for text in ["", "1:2 x", "1:2 -1", "1:2 2 3", "1:2 300"] {
            #expect(throws: MachineError.self) { try MigrationArrival(text) }
        }
    }
}
