import Foundation
import Glibc
import LabKit
import Testing

extension IntegrationTests {
    /// What the product tells of itself, held against the LUN.
    @Suite(SharedLab()) struct SeeingTests {
        private struct Extent: Decodable {
            var fileOffsetBytes: UInt64
            var lunOffsetBytes: UInt64?
            var lengthBytes: UInt64
            var state: String
        }

        private struct Counts: Decodable {
            var node: String
            var directReadBytes: UInt64
            var directWriteBytes: UInt64
            var redirectedReadBytes: UInt64
            var redirectedWriteBytes: UInt64
        }

        @Test func aFilesMapIsTheLUNs() async throws {
            try await SharedLab.use { lab in
                let node = try await lab.others()[0]
                try await node.shell(
                    "head -c 20M /dev/urandom >mapped; fallocate -p -o 5M -l 1M mapped; sync mapped"
                )
                let path = node.volumePath + "/mapped"
                let map = try await node.covolJSON([Extent].self, ["file", "map", path])
                let written = map.filter { $0.state == "written" }
                #expect(written.reduce(0) { $0 + $1.lengthBytes } >= 19 << 20)
                #expect(map.contains { $0.state == "hole" && $0.fileOffsetBytes == 5 << 20 })
                for extent in written {
                    let length = min(extent.lengthBytes, 4 << 20)
                    let offset = extent.lunOffsetBytes ?? 0
                    let command =
                        "cmp <(dd if='\(lab.plan.imagePath)' bs=1M iflag=skip_bytes,count_bytes "
                        + "skip=\(offset) count=\(length) status=none) "
                        + "<(dd if=mapped bs=1M iflag=skip_bytes,count_bytes "
                        + "skip=\(extent.fileOffsetBytes) count=\(length) status=none)"
                    try await node.shell(command)
                }
            }
        }

        @Test func dataGoesDirectly() async throws {
            try await SharedLab.use { lab in
                for node in lab.nodes {
                    try await node.shell("head -c 16M /dev/urandom >direct-\(node.name)")
                }
                let before = try await counts(lab)
                for node in lab.nodes {
                    let next = lab.node(node.plan.number % lab.nodes.count + 1)
                    try await node.shell(
                        "dd if=/dev/zero of=direct-\(node.name) bs=1M count=16 conv=notrunc status=none; "
                            + "dd if=direct-\(next.name) of=/dev/null bs=1M status=none")
                }
                let after = try await counts(lab)
                for node in lab.nodes {
                    let (old, new) = (try counts(of: node, before), try counts(of: node, after))
                    #expect(new.directWriteBytes - old.directWriteBytes >= 16 << 20)
                    #expect(new.directReadBytes - old.directReadBytes >= 16 << 20)
                    #expect(new.redirectedWriteBytes == old.redirectedWriteBytes)
                    #expect(new.redirectedReadBytes == old.redirectedReadBytes)
                }
            }
        }

        private func counts(_ lab: Lab) async throws -> [Counts] {
            try await lab.node(1).covolJSON([Counts].self, ["stats"])
        }

        private func counts(of node: LabNode, _ all: [Counts]) throws -> Counts {
            guard let found = all.first(where: { $0.node == node.name }) else {
                throw Finding("covol stats has no line of \(node.name)")
            }
            return found
        }

        @Test func sharedMapsAreRefused() async throws {
            try await SharedLab.use { lab in
                let node = try await lab.others()[0]
                try await node.shell("head -c 8192 /dev/zero | tr '\\0' a >maps")
                let path = node.volumePath + "/maps"
                try await onThread {
                    let file = open(path, O_RDWR | O_CLOEXEC)
                    try require(file >= 0, "open: \(String(cString: strerror(errno)))")
                    defer { close(file) }
                    let shared = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                    try require(
                        shared == MAP_FAILED && errno == ENODEV, "a shared map: errno \(errno)")
                    let own = mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0)
                    guard let own, own != MAP_FAILED else {
                        throw Finding("a private map is refused")
                    }
                    defer { munmap(own, 8192) }
                    let bytes = own.bindMemory(to: UInt8.self, capacity: 8192)
                    try require(
                        bytes[0] == 97 && bytes[8191] == 97, "a private map shows other bytes")
                }
            }
        }
    }
}
