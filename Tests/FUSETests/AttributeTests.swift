import CLinux
import FUSE
import Glibc
import Testing

@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(1)))
struct AttributeTests {
    @Test(arguments: MountFixture.transports)
    func extendedAttributes(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let path = root + "/x"
            close(open(path, O_RDWR | O_CREAT, 0o600))
            let value = [UInt8](repeating: 7, count: 60000)
            #expect(covol_setxattr(path, "user.big", value, value.count, 0) == 0)
            var back = [UInt8](repeating: 0, count: 65536)
            #expect(covol_getxattr(path, "user.big", nil, 0) == 60000)
            #expect(covol_getxattr(path, "user.big", &back, back.count) == 60000)
            #expect(back.prefix(60000).elementsEqual(value))
            #expect(covol_getxattr(path, "user.big", &back, 10) == -Int(ERANGE))
            #expect(covol_getxattr(path, "user.none", &back, 10) == -Int(ENODATA))
            var names = [CChar](repeating: 0, count: 100)
            #expect(covol_listxattr(path, &names, 100) == 9)
            #expect(covol_removexattr(path, "user.big") == 0)
            #expect(covol_removexattr(path, "user.big") == -ENODATA)
        }
    }

    @Test(arguments: MountFixture.transports)
    func seekAndUnsupported(transport: FUSEMountOptions.Transport) throws {
        let fixture = try MountFixture(transport)
        defer { fixture.end() }
        try fixture.bounded { root in
            let descriptor = open(root + "/s", O_RDWR | O_CREAT, 0o600)
            defer { close(descriptor) }
            #expect(pwrite(descriptor, "0123456789", 10, 0) == 10)
            #expect(lseek(descriptor, 3, 3) == 3)
            #expect(lseek(descriptor, 3, 4) == 10)
            #expect(posix_fallocate(descriptor, 0, 4096) != EIO)
        }
        #expect(fixture.toy.count("lseek") == 2)
        #expect(fixture.toy.count("fallocate") == 1)
    }
}
