import Foundation
import Testing

@Suite("What commands do, and how they fail", .timeLimit(.minutes(1)))
struct ActionTests {
    @Test func addPrintsItsStepsOnStandardError() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol(
                "volume", "add", "/dev/sdb", "--name", "images", "--filesystem", "ext4", "--format",
                "--socket", socket)
            #expect(
                outcome
                    == Outcome(
                        status: 0, output: "images is at /clusterstorage/images on every node\n",
                        errors: "making a file system\n"))
        }
        #expect(backend.calls == ["add /dev/sdb images ext4 true"])
    }

    @Test func aRelativeDeviceIsMadeAbsolute() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            _ = await covol("volume", "add", "lun.img", "--json", "--socket", socket)
        }
        let directory = FileManager.default.currentDirectoryPath
        #expect(backend.calls == ["add \(directory)/lun.img - - false"])
    }

    @Test func rename() async throws {
        let backend = FakeBackend()
        try await withDaemon(backend) { socket in
            let outcome = await covol("volume", "rename", "Volume1", "images", "--socket", socket)
            #expect(outcome.output == "Volume1 is now images at /clusterstorage/images\n")
        }
        #expect(backend.calls == ["rename Volume1 images"])
    }

    @Test func aRefusalIsStatusOne() async throws {
        try await withDaemon { socket in
            let outcome = await covol("volume", "remove", "Volume1", "--socket", socket)
            #expect(
                outcome
                    == Outcome(
                        status: 1, output: "",
                        errors: "detaching\n"
                            + "covol: Volume1 is in use on node2: close its files first\n"))
            let missing = await covol("volume", "show", "nope", "--socket", socket)
            #expect(missing.status == 1)
            #expect(missing.errors.hasPrefix("covol: there is no volume \"nope\""))
        }
    }

    @Test func aMissingDaemonIsStatus69() async {
        let outcome = await covol("volume", "list", "--socket", "/nonexistent/covold.sock")
        #expect(outcome.status == 69)
        #expect(outcome.output == "")
        #expect(outcome.errors.hasPrefix("covol: the daemon cannot be reached at /nonexistent/"))
        #expect(outcome.errors.contains("systemctl start covold"))
    }

    @Test func aMissingDirectoryIsTold() async throws {
        try await withDaemon { socket in
            let outcome = await covol("file", "map", "/nonexistent/dir/file", "--socket", socket)
            #expect(outcome.status == 1)
            #expect(outcome.errors == "covol: /nonexistent/dir/: No such file or directory\n")
            let directory = await covol("file", "map", "/tmp/", "--socket", socket)
            #expect(directory.errors == "covol: /tmp/ names a directory, not a file\n")
        }
    }
}
