import Foundation
import Testing

@testable import LabKit

@Suite struct LabFaultWordsTests {
    @Test func everyFaultOfTheListIsUnderstood() throws {
        var seen = 0
        for line in LabFault.list {
            #expect(!line.help.isEmpty)
            let words = line.fault.replacingOccurrences(of: " --milliseconds N", with: "")
                .split(separator: " ").map(String.init)
            let choices = words[words.count - 1].split(separator: "|").map(String.init)
            for choice in choices {
                _ = try LabFault(words: words.dropLast() + [choice])
                seen += 1
            }
        }
        #expect(seen == 16)
    }

    @Test func wordsMeanWhatTheySay() throws {
        #expect(try LabFault(words: ["storage", "hang"]) == .storage(.hang))
        #expect(
            try LabFault(words: ["storage", "slow"], milliseconds: 7)
                == .storage(.slow(milliseconds: 7)))
        #expect(
            try LabFault(words: ["network", "client", "down"]) == .network(.client, isUp: false))
        #expect(try LabFault(words: ["power", "off"]) == .power(isOn: false))
        #expect(try LabFault(words: ["daemon", "continue"]) == .daemon(.continue))
    }

    @Test(
        arguments: [
            [], ["storage"], ["storage", "cut"], ["storage", "hang", "now"],
            ["network", "cluster"],
            ["network", "both", "down"], ["network", "cluster", "off"], ["power"],
            ["power", "down"],
            ["daemon", "restart"], ["fire"],
        ] as [[String]])
    func otherWordsAreRefused(words: [String]) {
        #expect {
            _ = try LabFault(words: words)
        } throws: { ($0 as? LabError)?.message.contains("--list") == true }
    }

    @Test func aDelayIsForSlowAndBounded() {
        for (kind, delay) in [("slow", 0), ("slow", 60_001), ("hang", 5)] {
            #expect(throws: LabError.self) {
                _ = try LabFault(words: ["storage", kind], milliseconds: delay)
            }
        }
    }

    @Test func faultsInForceAreNamed() throws {
        let counters = LUNControl.Path.Counters(
            reads: 0, writes: 0, discards: 0, flushes: 0, failed: 0, conflicts: 0)
        func path(_ name: String, _ fault: String, late: String? = nil) -> LUNControl.Path {
            LUNControl.Path(
                name: name, fault: fault, milliseconds: fault == "slow" ? 20 : nil,
                lateWrite: late, key: nil, held: 0, counters: counters)
        }
        let faults = LabFaults(
            paths: [
                path("node1", "ok", late: "held"), path("node2", "slow"), path("node3", "cut"),
            ], downPorts: ["cluster2", "client3"])
        #expect(
            faults.of(number: 1, name: "node1", isStopped: true)
                == ["storage late-write held", "daemon stop"])
        #expect(
            faults.of(number: 2, name: "node2", isStopped: false)
                == ["storage slow 20 ms", "network cluster down"])
        #expect(
            faults.of(number: 3, name: "node3", isStopped: false)
                == ["power off", "network client down"])
        let json = #"[{"ifname":"a","flags":["UP"]},{"ifname":"b","flags":["BROADCAST"],"x":1}]"#
        #expect(LabFaults.downPorts(Data(json.utf8)) == ["b"])
        #expect(LabFaults.downPorts(Data("?".utf8)).isEmpty)
    }

    @Test func aSimulatedLabsDaemonsAreToldTheirPaths() throws {
        var options = LabOptions(simulatedLUN: true)
        let plan = LabPlan(directory: "/tmp/a", id: 7, options: options)
        let configuration = plan.node(2).configuration
        #expect(configuration.devices == ["/tmp/a/lun.img": "/tmp/a/lun/node2"])
        #expect(configuration.reservationSocket == "/tmp/a/lun.sock")
        #expect(configuration.reservationPath == "node2")
        // The LUN's reservations fence; without them the processes' ends do.
        #expect(configuration.fence == nil)
        #expect(plan.lunDevice == "/tmp/a/lun.img")
        options.memory = true
        let inMemory = LabPlan(directory: "/tmp/a", id: 7, options: options)
        #expect(
            inMemory.node(2).configuration.devices == [
                "/tmp/a/lun.img": "/tmp/a/lun/node2",
                "/dev/shm/covolume-1828ba67.img": "/tmp/a/lun/node2",
            ])
        #expect(inMemory.lunDevice == "/tmp/a/lun.img")
        options.simulatedLUN = false
        #expect(
            LabPlan(directory: "/tmp/a", id: 7, options: options).node(1).configuration.devices
                == nil)
        // Written before there were simulated LUNs.
        let old = #"""
            {"nodes":3,"sizeBytes":1,"fileSystem":"xfs","memory":true,"volumeName":"V",
             "logLevel":"info","replacesImage":false,"addsVolume":true}
            """#
        #expect(
            try !JSONDecoder().decode(LabOptions.self, from: Data(old.utf8)).simulatedLUN)
    }
}

/// Faults on a lab whose daemons are stand-ins, and whose LUN simulator is the real one.
@Suite(
    .serialized, .enabled(if: getuid() == 0, "makes namespaces and mounts: needs root"),
    .enabled(if: StandIn.simulator != nil, "needs covol-lun: build it, or set COVOL_BIN_DIR"))
struct LabFaultTests {
    let programs = TemporaryDirectory()
    let temporary = TemporaryDirectory()

    private func withFaults(
        nodes: Int = 2, _ body: (Lab) async throws -> Void
    ) async throws {
        let lab = try await Lab.up(
            directory: temporary.path, options: .test(nodes: nodes, simulatedLUN: true),
            binaries: try StandIn.binaries(in: programs.path, daemon: .mounted))
        do {
            try await body(lab)
        } catch {
            try? await lab.down()
            throw error
        }
        try await lab.down()
        #expect(try labRemains(of: temporary.path) == [])
    }

    private func read(_ node: LabNode) async throws -> CommandResult {
        try await Command(
            ["dd", "if=\(node.plan.lunPath)", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]
        ).run()
    }

    private func faults(_ lab: Lab) async throws -> [[String]] {
        try await lab.status().nodes.map(\.faults)
    }

    @Test func storageFaultsAreOfOneNode() async throws {
        try await withFaults { lab in
            let control = try #require(lab.lunControl)
            let status = try await lab.status()
            #expect(status.isSimulatorAlive && status.nodes.allSatisfy { $0.faults.isEmpty })
            #expect(try await read(lab.node(1)).status == 0)
            try await lab.node(1).apply(.storage(.fail))
            #expect(try await read(lab.node(1)).stderr.contains("Input/output error"))
            #expect(try await read(lab.node(2)).status == 0)
            #expect(try await faults(lab) == [["storage fail"], []])
            try await lab.node(1).apply(.storage(.slow(milliseconds: 300)))
            let start = Clock.nowSeconds
            #expect(try await read(lab.node(1)).status == 0)
            #expect(Clock.nowSeconds - start >= 0.3)
            try await lab.node(1).apply(.storage(.hang))
            async let hanging = read(lab.node(1))
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await control.status().paths.first?.held == 1)
            try await lab.node(1).apply(.storage(.restore))
            #expect(try await hanging.status == 0)
            try await lab.node(2).apply(.storage(.lateWrite))
            async let late = Command([
                "dd", "if=/dev/zero", "of=\(lab.node(2).plan.lunPath)", "bs=4096", "count=1",
                "oflag=direct", "conv=notrunc", "seek=100",
            ]).run()
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await faults(lab) == [[], ["storage late-write held"]])
            let before = try await control.accesses().count
            try await lab.node(2).apply(.storage(.releaseLate))
            #expect(try await late.status == 0)
            let accesses = try await control.accesses()
            #expect(accesses.count == before + 1)
            #expect(accesses.last?.late == true && accesses.last?.path == "node2")
            #expect(try await faults(lab) == [[], []])
        }
    }

    @Test func powerOffTakesEverythingOfTheNode() async throws {
        try await withFaults { lab in
            let node = lab.node(1)
            let daemon = try #require(node.daemon)
            let device = try await Command([
                "losetup", "-f", "--show", "--direct-io=on", node.plan.lunPath,
            ]).run().line
            #expect(device.hasPrefix("/dev/loop"))
            // Writes for as long as it may; and someone who waits for a path that hangs.
            let script = """
                setsid dd if=/dev/zero of=\(node.plan.lunPath) oflag=direct bs=4096 seek=1000 \
                conv=notrunc >/dev/null 2>&1 </dev/null & echo
                """
            #expect(try await node.run(["sh", "-c", script]).status == 0)
            try await Task.sleep(for: .milliseconds(100))
            try await node.apply(.storage(.hang))
            try await node.apply(.power(isOn: false))
            let control = try #require(lab.lunControl)
            let last = try await control.status().lastSequence
            #expect(!daemon.isAlive && !node.isAlive)
            #expect(NetworkNamespace.processes(in: [node.plan.namespace]).isEmpty)
            #expect(try MountInfo.below(node.plan.directory).isEmpty)
            #expect(LoopDevices.devices { $0 == node.plan.lunPath }.isEmpty)
            #expect(try await faults(lab) == [["power off"], []])
            #expect(try await read(node).status != 0)
            for fault in [LabFault.storage(.restore), .daemon(.start)] {
                await #expect {
                    try await node.apply(fault)
                } throws: { ($0 as? LabError)?.message.contains("power on") == true }
            }
            #expect(try await control.status().lastSequence == last)
            try await node.apply(.power(isOn: true))
            #expect(node.isAlive && node.daemon != daemon)
            #expect(
                try Lab.open(
                    directory: temporary.path, binaries: lab.binaries
                ).node(1).daemon == node.daemon)
            #expect(try await read(node).status == 0)
            #expect(try await faults(lab) == [[], []])
            await #expect(throws: LabError.self) { try await node.apply(.power(isOn: true)) }
        }
    }

    @Test func daemonsAreKilledStoppedAndStarted() async throws {
        try await withFaults { lab in
            let node = lab.node(2)
            await #expect(throws: LabError.self) { try await node.apply(.daemon(.start)) }
            try await node.apply(.daemon(.stop))
            var row = try await lab.status().nodes[1]
            #expect(row.isStopped && row.isAlive && row.faults == ["daemon stop"])
            try await node.apply(.daemon(.continue))
            let before = node.daemon
            try await node.apply(.daemon(.kill))
            row = try await lab.status().nodes[1]
            #expect(!row.isAlive && !row.isStopped)
            await #expect {
                try await node.apply(.daemon(.stop))
            } throws: { ($0 as? LabError)?.message.contains("daemon start") == true }
            // What it showed is the next one's to go on with or to take away: this one does neither.
            #expect(try node.isVolumeMounted())
            try await node.apply(.daemon(.start))
            #expect(node.isAlive && node.daemon != before)
            let mounts = try MountInfo.below(node.plan.directory)
            #expect(mounts.count == 2)
        }
    }

    @Test func aCableIsPulledAtTheSwitch() async throws {
        try await withFaults { lab in
            let address = lab.node(2).plan.clusterAddress
            let probe = ["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/\(address)/7400"]
            #expect(try await lab.node(1).run(probe).status == 0)
            try await lab.node(2).apply(.network(.cluster, isUp: false))
            #expect(try await lab.node(1).run(probe).status != 0)
            #expect(try await faults(lab) == [[], ["network cluster down"]])
            let client = lab.node(2).plan.clientAddress
            let other = ["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/\(client)/7400"]
            #expect(try await lab.node(1).run(other).status == 0)
            try await lab.node(2).apply(.network(.cluster, isUp: true))
            #expect(try await lab.node(1).run(probe).status == 0)
        }
    }

    @Test func aLabWithFaultsComesDown() async throws {
        try await withFaults { lab in
            let path = lab.node(1).plan.lunPath
            let device = try await Command([
                "losetup", "-f", "--show", "--direct-io=on", path,
            ]).run().line
            #expect(device.hasPrefix("/dev/loop"))
            try await lab.node(1).apply(.storage(.hang))
            try await lab.node(2).apply(.power(isOn: false))
            let script = """
                setsid dd if=\(path) of=/dev/null iflag=direct bs=4096 >/dev/null 2>&1 \
                </dev/null & echo
                """
            #expect(try await lab.node(1).run(["sh", "-c", script]).status == 0)
        }
    }

    @Test func aKilledSimulatorIsNoObstacle() async throws {
        try await withFaults { lab in
            let simulator = try #require(lab.currentRecord.simulator)
            let device = try await Command([
                "losetup", "-f", "--show", "--direct-io=on", lab.node(1).plan.lunPath,
            ]).run().line
            #expect(device.hasPrefix("/dev/loop"))
            #expect(simulator.signal(SIGKILL))
            #expect(Clock.wait(atMostSeconds: 5) { !simulator.isAlive })
            await #expect {
                try await lab.node(1).apply(.storage(.fail))
            } throws: { ($0 as? LabError)?.message.contains("lab status") == true }
            #expect(try await !lab.status().isSimulatorAlive)
        }
    }

    @Test func faultsNeedASimulatedLUN() async throws {
        let lab = try await Lab.up(
            directory: temporary.path, options: .test(nodes: 1),
            binaries: try StandIn.binaries(in: programs.path, daemon: .mounted))
        for fault in [LabFault.storage(.hang), .power(isOn: false), .power(isOn: true)] {
            await #expect {
                try await lab.node(1).apply(fault)
            } throws: { ($0 as? LabError)?.message.contains("--simulated-lun") == true }
        }
        #expect(lab.node(1).isAlive)
        try await lab.down()
        #expect(try labRemains(of: temporary.path) == [])
    }
}
