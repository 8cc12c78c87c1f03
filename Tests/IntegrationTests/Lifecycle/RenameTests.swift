import Foundation
@testable import LabKit
import Testing

extension IntegrationTests {
    @Suite(SharedLab()) struct RenameTests {
        /// Writes and reads on through open files, and through its working directory, until it is told
        /// to stop; then everything must be there.
        private static let writer = """
            import hashlib, os, sys, time
            stop = sys.argv[1]
            held = os.open('held-' + sys.argv[2], os.O_RDWR | os.O_CREAT)
            log = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            count = 0
            while not os.path.exists(stop):
                block = hashlib.sha256(b'%d' % count).digest() * 512
                assert os.pwrite(held, block, count % 64 * 16384) == 16384
                assert os.pread(held, 16384, count % 64 * 16384) == block
                if count % 20 == 0:
                    os.write(log, b'%s %d\\n' % (sys.argv[2].encode(), count))
                    name = 'small-%s-%d' % (sys.argv[2], count)
                    with open(name, 'wb') as small:
                        small.write(block[:100])
                    os.rename(name, name + '-done')
                count += 1
            os.fsync(held)
            for index in range(max(0, count - 64), count):
                block = hashlib.sha256(b'%d' % index).digest() * 512
                assert os.pread(held, 16384, index % 64 * 16384) == block
            print(count)
            """

        @Test func whileEveryNodeWrites() async throws {
            try await SharedLab.use { lab in
                let stop = lab.plan.directory + "/stop"
                let writer = lab.plan.directory + "/writer.py"
                try Data(Self.writer.utf8).write(to: URL(fileURLWithPath: writer))
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for node in lab.nodes {
                        group.addTask {
                            let result = try await node.shell(
                                "exec python3 '\(writer)' '\(stop)' \(node.name)",
                                timeoutSeconds: 60)
                            return Int(result.stdout.split(separator: "\n").joined()) ?? 0
                        }
                    }
                    try await lab.machine("sleep 1")
                    var name = "Volume1"
                    for newName in ["images", "other", "Volume1"] {
                        let by = lab.node(newName == "images" ? 2 : 3)
                        try await by.check([lab.binaries.covol, "volume", "rename", name, newName])
                        for node in lab.nodes {
                            let root = node.plan.directory
                            #expect(!FileManager.default.fileExists(atPath: "\(root)/\(name)"))
                            try await node.check([
                                "test", "-e", "\(root)/\(newName)/held-\(node.name)",
                            ])
                        }
                        name = newName
                        try await lab.machine("sleep 0.5")
                    }
                    try await lab.machine("touch '\(stop)'")
                    for try await count in group { #expect(count > 20) }
                }
                let sums = try await lab.node(1).shell(sumsOfAllFiles).stdout
                for node in lab.nodes.dropFirst() {
                    #expect(try await node.shell(sumsOfAllFiles).stdout == sums, "\(node.name)")
                }
                let log = try await lab.node(2).shell("sort log | uniq -d; wc -l <log").stdout
                let small = try await lab.node(3).shell("ls | grep -c done").stdout
                #expect(log == small, "lines of the log, and small files")
            }
        }

        @Test func refusesWhatCannotBe() async throws {
            try await SharedLab.use { lab in
                for (old, new) in [("Volume1", "a/b"), ("Volume1", ".x"), ("nothing", "something")]
                {
                    let result = try await lab.node(1).covol(["volume", "rename", old, new])
                    #expect([1, 2].contains(result.status), "\(old) to \(new): \(result.status)")
                    #expect(result.stderr.contains("name") || result.stderr.contains("nothing"))
                }
                try await lab.waitUntilServing()
            }
        }
    }
}
