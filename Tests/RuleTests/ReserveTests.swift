import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorService

extension RealVolumes {
    /// The room that a full volume keeps for the coordinator itself.
    @Suite struct Reserve {
        /// Files in use lose their names on a volume without a free block: a move into the private
        /// directory, which has to grow for that.
        @Test(arguments: FileSystemKind.allCases) func filesInUseOnAFullVolume(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let node = fixture.node
                var files: [NodeFile] = []
                for number in 0..<300 { files.append(try await node.create("used\(number)")) }
                let rest = try await node.create("rest")
                try await fixture.fill(leaving: 0)
                // What is left in pieces goes too.
                var size: UInt64 = 0
                while true {
                    let bytes = [UInt8](repeating: 1, count: 4096)
                    let write = Operation.write(rest.handle, offsetBytes: size, [])
                    guard case .written = await node.call(write, payload: bytes).result else {
                        break
                    }
                    size += 4096
                }
                for number in 0..<300 {
                    let result = await node.call(.unlink(node.name("used\(number)"))).result
                    #expect(result == .done, "\(number)")
                }
                for file in files { try await node.close(file) }
                try await node.close(rest)
                for name in ["rest", "filler"] { try await node.done(.unlink(node.name(name))) }
                // Removed, it is there again for the next time.
                let hasRoom = try await FeatureSupport.eventually {
                    try fixture.coordinator.pool.perform {
                        [runner = fixture.coordinator.runner] in
                        runner.directory.reserve.refill()
                        return runner.directory.reserve.isFull ? true : nil
                    }
                }
                #expect(hasRoom == true)
            }
        }
    }
}
