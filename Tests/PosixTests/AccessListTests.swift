import Glibc
import Testing

extension PosixTests {
    @Suite struct AccessListTests {
        static let access = "system.posix_acl_access"
        static let inherited = "system.posix_acl_default"

        /// An access control list as its attribute has it (acl(5); linux/posix_acl_xattr.h).
        struct AccessList {
            var owner: Int
            var users: [(id: Int, rights: Int)] = []
            var group: Int
            var groups: [(id: Int, rights: Int)] = []
            var mask: Int?
            var others: Int

            var bytes: [UInt8] {
                func entry(_ tag: Int, _ rights: Int, _ id: Int = -1) -> [UInt8] {
                    encoded(UInt16(tag)) + encoded(UInt16(rights)) + encoded(Int32(id))
                }
                var bytes = encoded(UInt32(2)) + entry(1, owner)
                for user in users { bytes += entry(2, user.rights, user.id) }
                bytes += entry(4, group)
                for group in groups { bytes += entry(8, group.rights, group.id) }
                if let mask { bytes += entry(0x10, mask) }
                return bytes + entry(0x20, others)
            }
        }

        @Test(arguments: Place.all) func enforcement(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.fill("f", [1, 2, 3], mode: 0o640)
                r.attribute("f", Self.access).fails(ENODATA)
                c.alice.open("f", O_RDONLY).fails(EACCES)
                var list = AccessList(
                    owner: 6, users: [(User.alice.uid, 6)], group: 4, groups: [(65510, 4)],
                    mask: 6, others: 0)
                c.alice.setAttribute("f", Self.access, list.bytes).fails(EPERM)
                r.setAttribute("f", Self.access, list.bytes).ok()
                r.attribute("f", Self.access).brings(list.bytes)
                c.equal(r.status("f").permissions, 0o660, "the group's bits are the mask")
                c.alice.close(c.alice.opened("f", O_RDWR))
                c.bob.open("f", O_RDONLY).fails(EACCES)
                let member = c.caller(User(uid: 65503, gid: 65503, groups: [65510]))
                member.close(member.opened("f", O_RDONLY))
                member.open("f", O_WRONLY).fails(EACCES)
                // chmod changes the mask: the named user loses what it no longer allows.
                r.chmod("f", 0o640).ok()
                list.mask = 4
                r.attribute("f", Self.access).brings(list.bytes)
                c.alice.open("f", O_RDWR).fails(EACCES)
                c.alice.close(c.alice.opened("f", O_RDONLY))
                // Not 0604: without group bits Linux does not look at the list.
                r.chmod("f", 0o614).ok()
                c.alice.open("f", O_RDONLY).fails(EACCES)
                c.bob.close(c.bob.opened("f", O_RDONLY))
                r.removeAttribute("f", Self.access).ok()
                r.attribute("f", Self.access).fails(ENODATA)
                c.equal(r.attributeNames("f"), [], "names after removing the list")
                // A list that says no more than a mode becomes one.
                r.setAttribute("f", Self.access, AccessList(owner: 7, group: 5, others: 1).bytes)
                    .ok()
                c.equal(r.status("f").permissions, 0o751, "the mode of a minimal list")
                r.attribute("f", Self.access).fails(ENODATA)
                r.setAttribute("f", Self.access, [1, 2, 3]).fails(EINVAL)
                r.setAttribute(
                    "f", Self.access,
                    AccessList(owner: 7, users: [(5, 7)], group: 5, others: 1).bytes
                ).fails(EINVAL)
                r.setAttribute("f", Self.inherited, list.bytes).fails(EACCES, EPERM)
            }
        }

        @Test(arguments: Place.all) func inheritance(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let list = AccessList(
                    owner: 7, users: [(User.alice.uid, 7)], group: 5, mask: 7, others: 1)
                r.mkdir("d").ok()
                r.setAttribute("d", Self.inherited, list.bytes).ok()
                r.attribute("d", Self.inherited).brings(list.bytes)
                c.equal(r.status("d").permissions, 0o755, "a default list changes no mode")
                r.umask(0o077)
                // With a default list the umask does not count; the mode asked for does.
                r.create("d/f", 0o664)
                c.equal(r.status("d/f").permissions, 0o660, "mode of a file")
                var own = list
                own.owner = 6
                own.mask = 6
                own.others = 0
                r.attribute("d/f", Self.access).brings(own.bytes)
                r.attribute("d/f", Self.inherited).fails(ENODATA, EACCES, EOPNOTSUPP)
                r.mkdir("d/e", 0o777).ok()
                c.equal(r.status("d/e").permissions, 0o771, "mode of a directory")
                r.attribute("d/e", Self.access).brings(list.bytes)
                r.attribute("d/e", Self.inherited).brings(list.bytes)
                r.create("d/e/g", 0o666)
                c.equal(r.status("d/e/g").permissions, 0o660, "two levels down")
                r.mknod("d/p", .fifo, 0o666).ok()
                c.equal(r.status("d/p").permissions, 0o660, "mode of a fifo")
                r.symlink("x", "d/l").ok()
                c.equal(r.status("d/l").permissions, 0o777, "mode of a link")
                let unnamed = r.opened("d", Flags.unnamed | O_RDWR, 0o666)
                c.equal(r.status(of: unnamed).permissions, 0o660, "mode of an unnamed file")
                r.umask(0o022)
                c.alice.create("d/e/mine")
                r.removeAttribute("d", Self.inherited).ok()
                r.umask(0o027)
                r.create("d/h", 0o666)
                c.equal(r.status("d/h").permissions, 0o640, "the umask counts again")
                r.attribute("d/h", Self.access).fails(ENODATA)
            }
        }
    }
}
