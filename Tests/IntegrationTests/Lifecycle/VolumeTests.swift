import Foundation
@testable import LabKit
import Testing

extension IntegrationTests {
    /// Volumes come, change their names and go, and no file with them.
    @Suite(SharedLab()) struct VolumeTests {
        private func at(_ node: LabNode, _ volume: String) -> String {
            node.plan.directory + "/" + volume
        }

        @Test(arguments: LabFileSystem.allCases)
        func adoptedAndGivenBack(_ fileSystem: LabFileSystem) async throws {
            try await SharedLab.use { lab in
                let name = "adopted-\(fileSystem.rawValue)"
                let image = try await lab.makeImage(name, fileSystem)
                let before = try await lab.inPlainMount(
                    of: image,
                    """
                    mkdir -p a/b; head -c 5M /dev/urandom >a/b/large; echo small >small
                    head -c 100 /dev/urandom >a/tiny; ln small a/link; ln -s small soft
                    truncate -s 10M sparse; \(sumsOfAllFiles)
                    """)
                try await lab.node(2).check(
                    [lab.binaries.covol, "volume", "add", image, "--name", name])
                for node in lab.nodes {
                    let seen = try await node.check(
                        ["bash", "-c", "cd '\(at(node, name))'; ls -A; \(sumsOfAllFiles)"])
                    #expect(seen.stdout.hasSuffix(before), "\(node.name)")
                    #expect(!seen.stdout.contains(".covolume"), "\(node.name): \(seen.stdout)")
                }
                let added = try await lab.node(3).check(
                    [
                        "bash", "-ec",
                        """
                        cd '\(at(lab.node(3), name))'; head -c 9M /dev/urandom >new; rm a/tiny
                        dd if=/dev/urandom of=a/b/large bs=1M seek=1 count=2 conv=notrunc status=none
                        \(sumsOfAllFiles)
                        """,
                    ])
                try await lab.node(1).check([lab.binaries.covol, "volume", "remove", name])
                for node in lab.nodes {
                    let path = at(node, name)
                    #expect(!FileManager.default.fileExists(atPath: path), "\(path) is left")
                }
                let after = try await lab.inPlainMount(
                    of: image, "test ! -e .covolume; readlink soft >/dev/null; \(sumsOfAllFiles)")
                #expect(after == added.stdout)
                try await Lab.check(image: image, fileSystem: fileSystem.rawValue)
                try await lab.machine("rm '\(image)'")
            }
        }

        @Test func everyVolumeHasACoordinatorOfItsOwn() async throws {
            try await SharedLab.use { lab in
                var coordinators = [try await lab.coordinator().name]
                for name in ["second", "third"] {
                    let image = lab.image(name)
                    try await lab.machine("truncate -s 64M '\(image)'")
                    try await lab.node(1).check(
                        [
                            lab.binaries.covol, "volume", "add", image, "--name", name,
                            "--format", "--filesystem", "ext4",
                        ])
                    coordinators.append(try await lab.coordinator(of: name).name)
                    try await lab.node(2).check([
                        "bash", "-c", "echo \(name) >'\(at(lab.node(2), name))/f'",
                    ])
                }
                #expect(Set(coordinators).count == 3, "\(coordinators)")
                for name in ["second", "third"] {
                    try await lab.node(3).check(["grep", "-q", name, at(lab.node(3), name) + "/f"])
                    try await lab.node(3).check([lab.binaries.covol, "volume", "remove", name])
                    try await Lab.check(image: lab.image(name), fileSystem: "ext4")
                    try await lab.machine("rm '\(lab.image(name))'")
                }
            }
        }

        @Test func aVolumeInUseIsNotRemoved() async throws {
            try await SharedLab.use { lab in
                let image = lab.image("busy")
                try await lab.machine("truncate -s 64M '\(image)'")
                try await lab.node(1).check(
                    [
                        lab.binaries.covol, "volume", "add", image, "--name", "busy", "--format",
                        "--filesystem", "ext4",
                    ])
                let path = at(lab.node(2), "busy")
                async let holder = lab.node(2).check(
                    [
                        "bash", "-ec",
                        """
                        exec 3>'\(path)/held'; until test -e '\(lab.plan.directory)/let-go'; do
                        sleep 0.1; done; echo written >&3
                        """,
                    ], timeoutSeconds: 120)
                try await lab.machine("until test -e '\(path)/held'; do sleep 0.05; done")
                let refused = try await lab.node(1).covol(
                    ["volume", "remove", "busy"], timeoutSeconds: 100)
                #expect(refused.status == 1)
                #expect(refused.stderr.contains("in use"), "\(refused.stderr)")
                try await lab.machine("touch let-go")
                _ = try await holder
                try await lab.waitUntilServing()
                for node in lab.nodes {
                    try await node.check(["grep", "-q", "written", at(node, "busy") + "/held"])
                }
                try await lab.node(1).check([lab.binaries.covol, "volume", "remove", "busy"])
                try await Lab.check(image: image, fileSystem: "ext4")
                try await lab.machine("rm '\(image)' let-go")
            }
        }
    }
}
