import Foundation

@testable import LabKit

/// LUN images beside the lab's own, made with the tools that anybody has.
extension Lab {
    func image(_ name: String) -> String { plan.directory + "/" + name + ".img" }

    /// Runs a shell command of the machine, outside the nodes' namespaces.
    @discardableResult
    func machine(_ text: String, timeoutSeconds: Double = 60) async throws -> CommandResult {
        let result = try await Command(
            ["bash", "-e", "-o", "pipefail", "-c", text], workingDirectory: plan.directory,
            timeoutSeconds: timeoutSeconds
        ).run()
        try require(
            result.status == 0, "\(text): status \(result.status)\n\(result.stdout)\(result.stderr)"
        )
        return result
    }

    /// Makes an image with a file system, in the blocks that direct I/O to it is in.
    func makeImage(_ name: String, _ fileSystem: LabFileSystem) async throws -> String {
        let path = image(name)
        switch fileSystem {
        case .xfs:
            try await machine("truncate -s 320M '\(path)'; mkfs.xfs -q -s size=4096 '\(path)'")
        case .ext4: try await machine("truncate -s 128M '\(path)'; mkfs.ext4 -q -b 4096 '\(path)'")
        }
        return path
    }

    /// Mounts an image as anybody would, and runs a shell command in it.
    @discardableResult
    func inPlainMount(of image: String, _ text: String) async throws -> String {
        try await machine(
            """
            point=$(mktemp -d /tmp/covolume-plain-XXXXXX)
            mount -o loop '\(image)' $point
            trap 'cd /; umount $point; rmdir $point' EXIT
            cd $point; \(text)
            """
        ).stdout
    }

    /// What `covol volume add` says where it refuses; status 2 is for what is no command line.
    func refusal(_ arguments: [String], statuses: [Int32] = [1]) async throws -> String {
        let result = try await node(1).covol(["volume", "add"] + arguments)
        try require(
            statuses.contains(result.status),
            "covol volume add \(arguments): status \(result.status)\n\(result.stdout)\(result.stderr)"
        )
        return result.stderr
    }
}

/// A shell command that lists every file's checksum, sorted.
let sumsOfAllFiles =
    "find . -path ./lost+found -prune -o -type f -print0 | sort -z | xargs -0 sha256sum"
