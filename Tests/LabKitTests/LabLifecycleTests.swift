import Foundation
import Testing

@testable import LabKit

/// The whole lab with stand-ins for the daemons. Serialized: each takes seconds of processor.
@Suite(.serialized, .enabled(if: getuid() == 0, "makes namespaces and mounts: needs root"))
struct LabLifecycleTests {
    let programs = TemporaryDirectory()
    let temporary = TemporaryDirectory()

    private func up(
        _ daemon: StandIn.Daemon = .mounted, options: LabOptions = .test(nodes: 2),
        owner: ProcessIdentity? = .current
    ) async throws -> Lab {
        try await Lab.up(
            directory: temporary.path, options: options, owner: owner,
            binaries: try StandIn.binaries(in: programs.path, daemon: daemon))
    }

    @Test func aLabGoesUpAndLeavesNothing() async throws {
        let value = try await withLab(
            .test(nodes: 3),
            binaries: try StandIn.binaries(in: programs.path, daemon: .mounted), certificates: nil
        ) { lab in
            #expect(lab.nodes.filter(\.isAlive).count == 3)
            let status = try await lab.status()
            #expect(status.isStoreAlive)
            #expect(status.nodes.allSatisfy { $0.isAlive && $0.isMounted && $0.problem == nil })
            #expect(
                status.nodes.map { $0.volumes.map(\.state) } == [
                    ["Direct"], ["Direct"], ["Direct"],
                ])
            // The nodes' networks: each reaches each.
            let address = lab.node(3).plan.clusterAddress
            let probe = ["bash", "-c", "exec 3<>/dev/tcp/\(address)/7400"]
            #expect(try await lab.node(1).run(probe).status == 0)
            let client = lab.node(2).plan.clientAddress
            #expect(
                try await lab.node(1).run(["bash", "-c", "exec 3<>/dev/tcp/\(client)/7400"])
                    .status == 0)
            let which = ["readlink", "/proc/self/ns/net", "/proc/self/ns/mnt"]
            let inside = try await lab.node(1).run(which).stdout.split(separator: "\n")
            let outside = try await Command(which).run().stdout.split(separator: "\n")
            #expect(inside.first != outside.first)
            #expect(inside.last == outside.last)
            let environment = try await lab.node(2).run(
                ["sh", "-c", "echo $COVOL_NODE $COVOL_SOCKET $COVOL_VOLUMES; command -v covol"])
            #expect(
                environment.stdout
                    == "node2 \(lab.plan.directory)/node2/covold.sock \(lab.plan.directory)/node2\n"
                    + "\(programs.path)/covol\n")
            // The host's mounts: a node's command sees what the host sees.
            #expect(
                try await lab.node(1).run(["touch", lab.node(1).volumePath + "/a"]).status == 0)
            #expect(SystemFile.exists(lab.node(1).volumePath + "/a"))
            return lab.plan.directory
        }
        #expect(try labRemains(of: value) == [])
        #expect(!SystemFile.exists(value))
    }

    @Test func theFileSystemCheckFindsDamage() async throws {
        for fileSystem in LabFileSystem.allCases {
            var options = LabOptions.test(fileSystem: fileSystem, nodes: 1, sizeBytes: 320 << 20)
            options.memory = true
            let lab = try await up(options: options)
            try await lab.down(keepImage: true)
            try await lab.checkFileSystem()
            let zeros = [UInt8](repeating: 0xA5, count: 1 << 20)
            let image = try Descriptor(opening: lab.plan.imagePath, flags: O_RDWR)
            // Past the superblock, into the first group's own metadata.
            #expect(pwrite(image.number, zeros, zeros.count, 4096) == zeros.count)
            await #expect {
                try await lab.checkFileSystem()
            } throws: { ($0 as? LabError)?.code == .fileSystemDamaged }
            lab.removeImage()
            #expect(try labRemains(of: temporary.path) == [])
        }
    }

    @Test func whatWasKilledComesDownToo() async throws {
        let lab = try await up()
        let record = lab.currentRecord
        try await lab.node(1).signal(SIGKILL)
        #expect(!lab.node(1).isAlive)
        #expect(try #require(record.store).signal(SIGKILL))
        try await lab.node(2).signal(SIGSTOP)
        // Left running by someone in a node's namespace, in a session of its own.
        #expect(
            try await lab.node(2).run(
                ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo"]
            ).status == 0)
        let device = try await Command(["losetup", "-f", "--show", lab.plan.imagePath]).run().line
        #expect(device.hasPrefix("/dev/loop"))
        #expect(try await Lab.down(directory: temporary.path))
        #expect(try labRemains(of: temporary.path) == [])
        #expect(record.daemons.values.allSatisfy { !$0.isAlive })
        // Once more: nothing is there, and that is no error.
        #expect(try await !Lab.down(directory: temporary.path))
        try await lab.down()
    }

    @Test func aHungVolumeDoesNotStopIt() async throws {
        let lab = try await up(.hung)
        let path = lab.node(1).volumePath
        // Its command waits in the kernel; after the time it is ended all the same.
        await #expect {
            _ = try await lab.node(2).run(["ls", lab.node(2).volumePath], timeoutSeconds: 0.5)
        } throws: { ($0 as? LabError)?.code == .commandTimedOut }
        async let stuck = Command(["stat", path], timeoutSeconds: 60).run()
        try await Task.sleep(for: .milliseconds(300))
        let start = Clock.nowSeconds
        try await lab.down()
        #expect(Clock.nowSeconds - start < 15)
        #expect(try await stuck.status != 0)
        #expect(try labRemains(of: temporary.path) == [])
    }

    @Test func whoIgnoresTheRequestIsKilled() async throws {
        let lab = try await up(.stubborn)
        try await lab.down(graceSeconds: 0.3)
        #expect(try labRemains(of: temporary.path) == [])
    }

    @Test func aDaemonThatEndsFailsTheStartWithItsLog() async throws {
        await #expect {
            _ = try await up(.broken)
        } throws: { error in
            guard let error = error as? LabError else { return false }
            return error.code == .daemonFailed && error.message.contains("broken on purpose")
        }
        #expect(try labRemains(of: temporary.path) == [])
        // The log stays for people, and the directory can be used again.
        #expect(SystemFile.exists(temporary.path + "/node1/covold.log"))
        let lab = try await up()
        try await lab.down()
    }

    @Test func aCancelledStartIsTakenDown() async throws {
        let task = Task { try await up() }
        let tag = LabPlan.tag(directory: Lab.resolve(temporary.path))
        while NetworkNamespace.names(prefix: "covol-\(tag)").isEmpty {
            try await Task.sleep(for: .milliseconds(5))
        }
        task.cancel()
        await #expect(throws: (any Error).self) { _ = try await task.value }
        #expect(try labRemains(of: temporary.path) == [])
    }

    @Test func neitherADamagedRecordNorAMissingDirectoryStopsIt() async throws {
        let lab = try await up()
        let tag = lab.plan.tag
        for path in [lab.plan.recordPath, LabRegistry.machine.recordPath(tag: tag)] {
            try SystemFile.replace(path, with: Array("{".utf8))
        }
        #expect(throws: LabError.self) { try Lab.open(directory: temporary.path) }
        #expect(try await Lab.down(directory: temporary.path))
        #expect(try labRemains(of: temporary.path) == [])

        let again = try await up()
        let moved = temporary.path + "-moved"
        #expect(rename(temporary.path, moved) == 0)
        defer { _ = rename(moved, temporary.path) }
        // Its mounts moved with it: they are found by their new place.
        #expect(try await Lab.down(directory: again.plan.directory))
        for mount in try MountInfo.below(moved) {
            _ = try await Command(["umount", "-l", mount.mountPoint]).run()
        }
        #expect(try labRemains(of: again.plan.directory) == [])
    }

    @Test func twoLabsRunSideBySide() async throws {
        let other = TemporaryDirectory()
        let binaries = try StandIn.binaries(in: programs.path, daemon: .mounted)
        async let first = up()
        async let second = Lab.up(
            directory: other.path, options: .test(nodes: 2), binaries: binaries)
        let labs = try await (first, second)
        #expect(labs.0.plan.id != labs.1.plan.id)
        try await labs.0.down()
        #expect(labs.1.nodes.filter(\.isAlive).count == 2)
        #expect(try await labs.1.status().nodes.allSatisfy(\.isMounted))
        try await labs.1.down()
        #expect(try labRemains(of: other.path) == [])
    }

    @Test func anEarlierImageIsNotOverwritten() async throws {
        try SystemFile.replace(temporary.path + "/lun.img", with: [1, 2, 3])
        await #expect {
            _ = try await up()
        } throws: { ($0 as? LabError)?.code == .alreadyUp }
        #expect(try SystemFile.bytes(temporary.path + "/lun.img") == [1, 2, 3])
        var options = LabOptions.test(nodes: 1)
        options.replacesImage = true
        let lab = try await up(options: options)
        try await lab.down()
    }

    @Test func aSweepTakesWhatNobodyOwns() async throws {
        var sweep = LabSweep()
        sweep.registry = LabRegistry(directory: programs.path + "/registry")
        sweep.includesUnrecorded = false
        let binaries = try StandIn.binaries(in: programs.path, daemon: .mounted)
        let lab = try await Lab.up(
            directory: temporary.path, options: .test(nodes: 1), binaries: binaries,
            registry: sweep.registry)
        #expect(try await sweep.run() == [])
        #expect(lab.node(1).isAlive)
        let gone = ProcessIdentity(pid: getpid(), startTicks: 0, bootID: "another")
        try lab.update { $0.owner = gone }
        #expect(try await sweep.run() == ["lab \(lab.plan.directory)"])
        #expect(try labRemains(of: temporary.path) == [])
        #expect(try await sweep.run() == [])
    }
}
