import Testing

@testable import LabKit

@Suite struct LabPlanTests {
    let plan = LabPlan(
        directory: "/tmp/a", id: 7, options: LabOptions(nodes: 3, volumeName: "Volume1"))

    @Test func addressesFollowFromTheIDAndTheNumber() {
        let node = plan.node(2)
        #expect(node.clusterAddress == "10.7.0.2")
        #expect(node.clientAddress == "10.7.1.2")
        #expect(node.listenAddress == "10.7.0.2:7400")
        #expect(plan.clusterName == "lab-7")
    }

    @Test func namesFollowFromTheDirectory() {
        // FNV-1a of "/tmp/a", computed independently.
        #expect(plan.tag == "1828ba67")
        #expect(plan.node(1).namespace == "covol-1828ba67-node1")
        #expect(plan.switchNamespace == "covol-1828ba67-switch")
        #expect(LabPlan.tag(directory: "/tmp/b") != plan.tag)
        #expect(LabPlan.tag(directory: "").utf8.count == 8)
    }

    @Test func nodesAreFoundByNameOrNumber() throws {
        #expect(try plan.node(named: "node3").number == 3)
        #expect(try plan.node(named: "1").number == 1)
        for name in ["node4", "0", "node0", "nod1", "", "-1", "node"] {
            #expect(throws: LabError.self) { try plan.node(named: name) }
        }
    }

    @Test func theImageLiesInMemoryWhenAsked() {
        #expect(plan.imagePath == "/tmp/a/lun.img")
        let inMemory = LabPlan(directory: "/tmp/a", id: 7, options: LabOptions(memory: true))
        #expect(inMemory.imagePath == "/dev/shm/covolume-1828ba67.img")
        #expect(inMemory.lunLink == "/tmp/a/lun.img")
    }

    @Test func aDirectoryTooLongForSocketsIsRefused() {
        let long = "/" + String(repeating: "x", count: 90)
        let refused = LabPlan(directory: long, id: 7, options: LabOptions())
        #expect { try refused.validate() } throws: { ($0 as? LabError)?.code == .badOption }
        #expect(throws: Never.self) { try plan.validate() }
    }

    @Test func aDaemonsConfigurationHasTheAgreedFields() throws {
        let configuration = plan.node(1).configuration
        #expect(
            configuration
                == DaemonConfiguration(
                    node: "node1", cluster: "lab-7", root: "/tmp/a/node1",
                    state: "/tmp/a/node1/state", socket: "/tmp/a/node1/covold.sock",
                    store: "/tmp/a/store/store.sock", listen: ["10.7.0.1:7400"],
                    certificates: "/tmp/a/node1/pki", logLevel: "info", fence: "process"))
    }

    @Test func commandsOnANodeAreBoundToIt() {
        let environment = plan.node(2).environment(binaryDirectory: "/opt/covol", path: "/bin")
        #expect(
            environment == [
                "COVOL_SOCKET": "/tmp/a/node2/covold.sock", "COVOL_NODE": "node2",
                "COVOL_VOLUMES": "/tmp/a/node2", "PATH": "/opt/covol:/bin",
            ])
        #expect(plan.node(2).environment(binaryDirectory: "/b", path: "")["PATH"] == "/b")
    }

    @Test func theSwitchConnectsEveryNodeToBothNetworks() {
        let lines = LabNetwork(plan: plan).switchCommands
        for node in plan.nodes {
            for network in ["cluster", "client"] {
                let port = "\(network)\(node.number)"
                #expect(
                    lines.contains(
                        "link add \(port) type veth peer name \(network) netns \(node.namespace)"
                    ))
                #expect(lines.contains("link set \(port) master \(network) up"))
            }
        }
    }
}

@Suite struct LabOptionsTests {
    @Test(arguments: [
        LabOptions(nodes: 0), LabOptions(nodes: 33), LabOptions(sizeBytes: 299 << 20),
        LabOptions(sizeBytes: 63 << 20, fileSystem: .ext4), LabOptions(sizeBytes: 65 << 40),
        LabOptions(volumeName: ""), LabOptions(volumeName: "a/b"), LabOptions(volumeName: ".."),
    ])
    func whatCannotWorkIsRefused(options: LabOptions) {
        #expect { try options.validate() } throws: { ($0 as? LabError)?.code == .badOption }
    }

    @Test func whatCanWorkIsNot() throws {
        try LabOptions().validate()
        try LabOptions(sizeBytes: 64 << 20, fileSystem: .ext4).validate()
        try LabOptions(nodes: 32, sizeBytes: 64 << 40).validate()
    }

    @Test func sizesAreReadAsPeopleWriteThem() {
        #expect(ByteSize.parse("2G") == 2 << 30)
        #expect(ByteSize.parse("512m") == 512 << 20)
        #expect(ByteSize.parse("1T") == 1 << 40)
        #expect(ByteSize.parse("8k") == 8192)
        #expect(ByteSize.parse("4096") == 4096)
        for text in ["", "G", "-1G", "1.5G", "2GB", "9999999999T", "١"] {
            #expect(ByteSize.parse(text) == nil, "\(text)")
        }
    }
}
