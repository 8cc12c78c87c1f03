import Foundation
import Testing

@testable import LabKit

extension IntegrationTests {
    /// What machines are made of beside memory and a raw disk.
    @Suite(
        SharedLab(.test(simulatedLUN: true)),
        .enabled(if: TestGuest.found != nil, "needs QEMU and what scripts/guest builds"))
    struct MachineDeviceTests {
        /// An image of another product becomes a disk with the same content, and its progress is told.
        @Test(arguments: [("vmdk", "raw"), ("vhdx", "raw"), ("qcow2", "raw"), ("raw", "qcow2")])
        func itImports(_ from: String, as format: String) async throws {
            try await SharedLab.use { lab in
                let node = lab.node(2)
                let place = lab.plan.directory + "/import"
                try FileManager.default.createDirectory(
                    atPath: place, withIntermediateDirectories: true)
                defer { try? FileManager.default.removeItem(atPath: place) }
                try await node.shell(
                    """
                    head -c 24M /dev/urandom > '\(place)/original'
                    truncate -s 64M '\(place)/original'
                    qemu-img convert -f raw -O \(from) '\(place)/original' '\(place)/image.\(from)'
                    """)
                let name = "from-\(from)"
                let made = try await node.covol([
                    "vm", "import", name, "\(place)/image.\(from)", "--volume",
                    lab.plan.options.volumeName, "--disk", "80M,format=\(format)", "--memory",
                    "64M",
                ])
                #expect(made.status == 0, "\(made.stderr)")
                for step in ["10 %", "100 %"] { #expect(made.stderr.contains(step)) }
                // Seen from another node.
                try await lab.node(3).shell(
                    """
                    qemu-img convert -f \(format) -O raw '\(name)/disk0.\(format)' '\(place)/copy'
                    test "$(stat -c %s '\(place)/copy')" = \(80 << 20)
                    cmp -n \(64 << 20) '\(place)/copy' '\(place)/original'
                    """)
                try await lab.vm("remove", name, "--yes")
            }
        }

        /// The neighbours of a machine on a bridge find it where it went: the switch has learned its
        /// address behind the other port. A guest of two processors.
        @Test func itsNeighboursFollowIt() async throws {
            try await SharedLab.use { lab in
                let network = GuestNetwork(lab)
                try await network.up()
                do {
                    let options = ["--network", "bridge=guests", "--cpus", "2"]
                    try await withMachine("near", options: options) { lab, console in
                        try await lab.vm("start", "near", "--on", "node1")
                        try await console.waitForBeats(10, on: "node1")
                        let address = try await network.address(of: "near")
                        for target in ["node2", "node3"] {
                            try await lab.vm("migrate", "near", "--to", target)
                            try await eventually("\(address) is behind \(target)'s port") {
                                try await network.node(behind: address) == target
                            }
                        }
                        try await lab.vm("migrate", "near", "--to", "node1", "--quick")
                        try await eventually("\(address) is behind node1's port") {
                            try await network.node(behind: address) == "node1"
                        }
                        try console.requireOneBoot()
                    }
                } catch {
                    try? await network.down()
                    throw error
                }
                try await network.down()
            }
        }

        /// Where a node lacks the bridge, the machine says why it does not start.
        @Test func aMissingBridgeIsNamed() async throws {
            try await withMachine("alone", options: ["--network", "bridge=nowhere"]) { lab, _ in
                let started = try await lab.node(1).covol(["vm", "start", "alone"])
                #expect(started.status != 0)
                #expect(started.stderr.contains("network script"), "\(started.stderr)")
                #expect(try await lab.shownMachine("alone").state == "Failed")
                // Seen.
                try await lab.vm("stop", "alone")
                #expect(try await lab.shownMachine("alone").state == "Off")
            }
        }
    }
}

/// A bridge `guests` on every node, joined by a switch of their own.
private struct GuestNetwork {
    private let lab: Lab
    private var switchSpace: String { lab.plan.switchNamespace }

    init(_ lab: Lab) { self.lab = lab }

    func up() async throws {
        try await ip(switchSpace, "link add guests type bridge", "link set guests up")
        for (number, node) in lab.nodes.enumerated() {
            try await ip(
                node.plan.namespace, "link add guests type bridge", "link set guests up",
                "link add uplink type veth peer name guests\(number) netns \(switchSpace)",
                "link set uplink master guests up")
            try await ip(switchSpace, "link set guests\(number) master guests up")
        }
    }

    func down() async throws {
        for node in lab.nodes {
            try await ip(node.plan.namespace, "link del uplink", "link del guests")
        }
        try await ip(switchSpace, "link del guests")
    }

    func address(of machine: String) async throws -> String {
        let path = try await lab.shownMachine(machine).path
        let text = try await lab.node(1).check(["cat", path + "/machine.json"]).stdout
        let configuration = try JSONDecoder().decode([String: Value].self, from: Data(text.utf8))
        return try #require(configuration["macAddress"]?.text)
    }

    /// The node behind whose port the switch has learned an address.
    func node(behind address: String) async throws -> String? {
        let table = try await Command([
            "bridge", "-n", switchSpace, "fdb", "show", "br", "guests",
        ]).run()
        let line = table.stdout.split(separator: "\n").first { $0.hasPrefix(address) }
        let words = line?.split(separator: " ").map(String.init) ?? []
        return words.firstIndex(of: "dev").flatMap { words[$0 + 1].last?.wholeNumberValue }
            .map { lab.nodes[$0].name }
    }

    private func ip(_ space: String, _ lines: String...) async throws {
        for line in lines {
            let result = try await Command(
                ["ip", "-n", space] + line.split(separator: " ").map(String.init)
            ).run()
            try require(result.status == 0, "\(line): \(result.stderr)")
        }
    }

    /// Any field of a configuration; its text where it is one.
    private struct Value: Decodable {
        var text: String?

        init(from decoder: any Decoder) throws {
            text = try? decoder.singleValueContainer().decode(String.self)
        }
    }
}
