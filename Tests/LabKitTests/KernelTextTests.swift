import Glibc
import Testing

@testable import LabKit

@Suite struct MountInfoTests {
    @Test func aLineIsReadWithAndWithoutOptionalFields() {
        let text = """
            36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw
            91 29 0:58 / /lab/node1/Volume1 rw,nosuid - fuse.covolume Volume1 rw,user_id=0
            """
        let mounts = MountInfo.parse(text)
        #expect(mounts.map(\.mountPoint) == ["/mnt2", "/lab/node1/Volume1"])
        #expect(mounts.map(\.fileSystemType) == ["ext3", "fuse.covolume"])
        #expect(mounts.map(\.minor) == [0, 58])
        #expect(mounts.map(\.isFUSE) == [false, true])
        #expect(mounts[1].source == "Volume1")
    }

    @Test func escapesAreUndone() {
        let mounts = MountInfo.parse(#"1 2 0:3 / /a\040b\134040c\011d rw - tmpfs none rw"#)
        #expect(mounts.map(\.mountPoint) == ["/a b\\040c\td"])
        // Not escapes: too short, not octal, too large.
        let odd = MountInfo.parse(#"1 2 0:3 / /a\04 rw - tmpfs x\777\089 rw"#)
        #expect(odd.map(\.mountPoint) == [#"/a\04"#])
        #expect(odd.map(\.source) == [#"x\777\089"#])
    }

    @Test func otherTextIsSkipped() {
        #expect(MountInfo.parse("").isEmpty)
        #expect(MountInfo.parse("a b c\n1 2 3 / / rw - x y z\n1 2 0:1 / / rw x y z").isEmpty)
        #expect(MountInfo.parse("1 2 0:1 / / rw - x").isEmpty)
    }

    @Test func theKernelsOwnTextIsRead() throws {
        #expect(try MountInfo.current().contains { $0.mountPoint == "/proc" })
    }

    /// Random bytes and damaged lines: nothing traps.
    @Test func fuzzMountInfo() {
        var random = SystemRandomNumberGenerator()
        let line = Array(#"36 35 98:0 / /m\040x rw master:1 - ext3 /dev/root rw"#.utf8)
        for _ in 0..<FuzzRounds.count {
            var bytes = line
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let index = bytes.indices.randomElement(using: &random)!
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1 where bytes.count > 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            for mount in MountInfo.parse(text) { #expect(mount.mountPoint.utf8.count <= 256) }
            _ = ProcessStat(parsing: text)
        }
    }
}

@Suite struct ProcessTests {
    @Test func fieldsAreCountedFromTheLastParenthesis() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21"
        let stat = ProcessStat(parsing: "42 (a) R 1 ( b) " + fields)
        #expect(stat?.state == "S")
        #expect(stat?.startTicks == 777)
        #expect(ProcessStat(parsing: "42 (a S 1") == nil)
        #expect(ProcessStat(parsing: "42 (a) S 1") == nil)
    }

    @Test func aReusedPIDIsAnotherProcess() throws {
        let own = ProcessIdentity.current
        #expect(own.isAlive)
        let earlier = ProcessIdentity(
            pid: own.pid, startTicks: own.startTicks - 1, bootID: own.bootID)
        let otherBoot = ProcessIdentity(
            pid: own.pid, startTicks: own.startTicks, bootID: "another")
        for process in [earlier, otherBoot] {
            #expect(!process.isAlive)
            // It would end this test if it were sent.
            #expect(!process.signal(SIGKILL))
        }
    }

    @Test func aZombieIsNotAlive() throws {
        let null = try Descriptor(opening: "/dev/null", flags: O_RDWR)
        let pid = try Command(["sleep", "60"]).start(
            input: null.number, output: null.number, errors: null.number)
        let process = try #require(ProcessIdentity(pid: pid))
        #expect(process.isAlive)
        #expect(process.signal(SIGKILL))
        #expect(Clock.wait(atMostSeconds: 5) { !process.isAlive })
        // Reaped as well: nothing is left to wait for.
        #expect(waitpid(pid, nil, WNOHANG) == -1)
    }
}

/// `make fuzz` raises the number.
enum FuzzRounds {
    static let count =
        Command.callerEnvironment["COVOL_FUZZ_ROUNDS"].flatMap(Int.init) ?? 2000
}
