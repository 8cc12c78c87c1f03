import CLinux
import FUSE
import Glibc
import Testing

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
