import Glibc
import Testing
import VolumeModel
import VolumeMount

/// Names and attributes that the coordinator granted are told without asking it.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct MetadataTests {
    private func size(_ fixture: VolumeFixture, _ name: String) async -> Int64? {
        let path = fixture.path + "/" + name
        return await Outcome {
            var status = stat()
            return lstat(path, &status) == 0 ? Int64(status.st_size) : -Int64(errno)
        }.wait()
    }

    private func questions(_ fixture: VolumeFixture) -> Int {
        fixture.coordinator.count {
            switch $0 {
            case .lookup, .attributes: true
            default: false
            }
        }
    }

    private func granted() async throws -> VolumeFixture {
        let fixture = try await VolumeFixture()
        fixture.coordinator.state.withLock { $0.grantsMetadata = true }
        fixture.volume.allowAnswersFromMap(untilNanoseconds: .max)
        return fixture
    }

    @Test func whatIsGrantedIsNotAskedFor() async throws {
        let fixture = try await granted()
        let whole = Int64(FakeCoordinator.fileBytes)
        #expect(await size(fixture, "a") == whole)
        #expect(await size(fixture, "none") == -Int64(ENOENT))
        _ = await size(fixture, "a")
        let before = questions(fixture)
        for _ in 0..<20 {
            #expect(await size(fixture, "a") == whole)
            #expect(await size(fixture, "none") == -Int64(ENOENT))
        }
        #expect(questions(fixture) == before)
        #expect(fixture.volume.counts.metadataCached >= 40)
        await fixture.end()
    }

    /// The kernel asks for some names at once, this node for a message full of them.
    @Test func directoriesAreReadInLargePieces() async throws {
        let fixture = try await VolumeFixture()
        let names = (0..<4000).map { "a-file-with-some-name-\($0)" }
        fixture.coordinator.state.withLock { $0.listed = names }
        let path = fixture.path
        let found = await Outcome { () -> [[String]] in
            guard let directory = opendir(path) else { return [] }
            defer { closedir(directory) }
            return (0..<2).map { _ in
                rewinddir(directory)
                var found: [String] = []
                while let entry = readdir(directory) {
                    found.append(
                        withUnsafeBytes(of: &entry.pointee.d_name) {
                            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                        })
                }
                return found
            }
        }.wait()
        #expect(found == [names, names])
        let asked = fixture.coordinator.count {
            if case .readDirectory = $0 { true } else { false }
        }
        // Each time four pieces of 1024 names, and one that says it is the end.
        #expect(asked == 10)
        await fixture.end()
    }

    @Test func whatIsNotGrantedIs() async throws {
        let fixture = try await VolumeFixture()
        for _ in 0..<5 { _ = await size(fixture, "a") }
        #expect(questions(fixture) >= 5 && fixture.volume.counts.metadataCached == 0)
        await fixture.end()
    }

    @Test func recalledIsAskedForAgain() async throws {
        let fixture = try await granted()
        _ = await size(fixture, "a")
        _ = await size(fixture, "none")
        fixture.volume.recallMetadata(FakeCoordinator.handle(1))
        fixture.coordinator.add("a", 1, sizeBytes: 5)
        #expect(await size(fixture, "a") == 5)
        fixture.volume.recallMetadata(FakeCoordinator.handle(0))
        fixture.coordinator.add("none", 3, sizeBytes: 7)
        #expect(await size(fixture, "none") == 7)
        #expect(fixture.volume.counts.metadataRecalls == 2)
        await fixture.end()
    }

    @Test func onlyAsAMemberAndUnderOneCoordinator() async throws {
        let fixture = try await granted()
        _ = await size(fixture, "a")
        fixture.volume.allowAnswersFromMap(untilNanoseconds: 0)
        let before = questions(fixture)
        _ = await size(fixture, "a")
        let between = questions(fixture)
        #expect(between > before)
        fixture.volume.allowAnswersFromMap(untilNanoseconds: .max)
        _ = await size(fixture, "a")
        await fixture.volume.leave()
        let last = questions(fixture)
        _ = await size(fixture, "a")
        #expect(questions(fixture) > last)
        await fixture.end()
    }

    @Test func ownWritesAreToldOf() async throws {
        let fixture = try await granted()
        let file = try await fixture.open("a")
        _ = await size(fixture, "a")
        #expect(await fixture.write(file, 1).wait() == 0)
        let before = questions(fixture)
        _ = await size(fixture, "a")
        #expect(questions(fixture) > before, "its times have moved")
        await fixture.close(file)
        await fixture.end()
    }
}
