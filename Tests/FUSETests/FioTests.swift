import CLinux
import Glibc
import Testing

@testable import FUSE

@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"),
    .enabled(if: access("/usr/bin/fio", X_OK) == 0, "needs fio"), .serialized,
    .timeLimit(.minutes(2)))
struct FioTests {
    @Test(
        arguments: MountFixture.transports,
        [
            ["--rw=randwrite", "--bs=4k", "--ioengine=libaio", "--iodepth=32", "--numjobs=3"],
            ["--rw=randrw", "--bsrange=4k-256k", "--ioengine=io_uring", "--iodepth=16"],
            ["--rw=write", "--bs=1m", "--ioengine=libaio", "--iodepth=8"],
            [
                "--rw=randwrite", "--bs_unaligned", "--bsrange=512-70000", "--ioengine=psync",
                "--direct=0",
            ],
        ])
    func verifies(transport: FUSEMountOptions.Transport, arguments: [String]) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        let all =
            [
                "/usr/bin/fio", "--name=t", "--directory=\(fixture.path)", "--size=8m",
                "--direct=1",
                "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--thread",
                "--create_on_open=1",
                "--allow_file_create=1", "--aux-path=\(fixture.directory)", "--output=/dev/null",
            ] + arguments
        let status = try fixture.bounded(seconds: 60) { _ in Self.run(all) }
        #expect(status == 0)
    }

    /// Many small requests at once drive a worker from its queue's CPU, single ones bring it back.
    @Test(
        .enabled(if: MountFixture.transports.contains(.uring), "needs FUSE over io_uring"),
        .enabled(if: sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 2, "needs two CPUs"))
    func aWorkerLeavesItsCPUUnderLoad() throws {
        let fixture = try MountFixture(.uring)
        defer { fixture.end() }
        let homes = Self.processors(ofWorkersOf: fixture.mount.connectionID)
        try #require(homes.count >= 2 && Set(homes.values).count == homes.count)
        let processor = try #require(homes.values.min())
        let words = [
            "/usr/bin/fio", "--name=t", "--filename=\(fixture.path)/f", "--size=8m", "--direct=1",
            "--bs=4k", "--ioengine=io_uring", "--thread", "--output=/dev/null",
            "--aux-path=\(fixture.directory)", "--cpus_allowed=\(processor)",
        ]
        let isAway = {
            let now = Self.processors(ofWorkersOf: fixture.mount.connectionID)
            return now.contains { homes[$0.key] != $0.value }
        }
        let load = Outcome<Int32>()
        TestThread.start {
            load.set(
                Self.run(
                    words + ["--rw=randwrite", "--iodepth=32", "--time_based", "--runtime=2"]))
        }
        #expect(eventually(seconds: 30, isAway))
        #expect(load.wait(seconds: 60) == 0)
        let status = try fixture.bounded(seconds: 60) { _ in
            Self.run(words + ["--rw=randread", "--iodepth=1"])
        }
        #expect(status == 0 && !isAway())
    }

    /// The CPUs that each of a mount's workers may run on, by thread.
    private static func processors(ofWorkersOf connectionID: UInt32) -> [String: String] {
        var found: [String: String] = [:]
        guard let tasks = opendir("/proc/self/task") else { return [:] }
        defer { closedir(tasks) }
        while let entry = readdir(tasks) {
            let task = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let lines = FUSESystemFile.read("/proc/self/task/\(task)/status")?
                .split(separator: "\n")
            guard let lines, lines.first?.hasPrefix("Name:\tfuse\(connectionID)-") == true else {
                continue
            }
            let allowed = lines.first { $0.hasPrefix("Cpus_allowed_list:") }
            found[task] = allowed?.split(separator: "\t").last.map { String($0) }
        }
        return found
    }

    /// The exit code; -1 where there is none.
    private static func run(_ arguments: [String]) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var pid: pid_t = 0
        guard posix_spawn(&pid, arguments[0], nil, nil, pointers, environ) == 0 else { return -1 }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {}
        return status & 0x7f == 0 ? status >> 8 & 0xff : -1
    }
}
