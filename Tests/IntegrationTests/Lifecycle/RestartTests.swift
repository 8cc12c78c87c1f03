import Glibc
import Testing

@testable import LabKit

extension IntegrationTests {
    /// A daemon ends cleanly and comes back; no file is open meanwhile.
    @Suite(SharedLab()) struct RestartTests {
        @Test(arguments: [false, true])
        func comesBack(coordinator: Bool) async throws {
            try await SharedLab.use { lab in
                let coordinating = try await lab.coordinator()
                let node = coordinator ? coordinating : try await lab.others()[0]
                let name = "restart-\(coordinator)"
                let writer = try await lab.others()[1]
                try await writer.shell("head -c 3M /dev/urandom >\(name); sync \(name)")
                let sums = try await node.shell("sha256sum \(name)").stdout
                try await restart(node)
                try await lab.waitUntilServing()
                for other in lab.nodes {
                    #expect(
                        try await other.shell("sha256sum \(name)").stdout == sums, "\(other.name)")
                    try await other.shell("echo \(other.name) >>\(name)-after")
                }
                let lines = try await node.shell("sort \(name)-after").stdout
                #expect(lines == lab.nodes.map { $0.name + "\n" }.joined())
            }
        }

        private func restart(_ node: LabNode) async throws {
            let daemon = node.daemon
            try await node.signal(SIGTERM)
            let hasEnded = try await Blocking.run { () throws(LabError) in
                Clock.wait(atMostSeconds: 30) { !(daemon?.isAlive ?? false) }
            }
            try require(hasEnded, "\(node.name) did not end within 30 s of SIGTERM")
            #expect(try !node.isVolumeMounted(), "\(node.name) left its mount")
            try node.start()
            try await node.waitForSocket()
        }
    }
}
