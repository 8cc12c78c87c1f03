import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// The bytes of the records on the volume.
struct OnceRecordTests {
    static let file = CoreFixture.file(7)
    static let name = NameInDirectory(
        parent: CoreFixture.root, name: Array(repeating: 0x61, count: 255))

    static let states: [OnceRecord.State] = [
        .intended(.makesName(name, open: nil)), .intended(.makesName(name, open: OpenID(9))),
        .intended(.makesHidden(file, open: OpenID(.max))), .intended(.links(file, name)),
        .intended(.takesName(name, file)),
        .intended(.appends(file, fromBytes: 1 << 20)),
        .intended(.shifts(file, fromBytes: 1 << 40, toBytes: 0)),
        .intended(.addsAttribute(file, name: [1])),
        .intended(.removesAttribute(file, name: Array(repeating: 2, count: 255))),
        .ended(.done), .ended(.entry(file, open: nil)), .ended(.entry(file, open: OpenID(1))),
        .ended(.attributes(file)),
        .ended(.written(offsetBytes: 1, lengthBytes: 2, sizeBytes: UInt64(Int64.max))),
        .ended(.copied(3)), .ended(.failed(.noSpace)),
    ]

    private func record(_ state: OnceRecord.State) -> OnceRecord {
        OnceRecord(incarnation: Incarnation(.max), sequence: 77, state: state)
    }

    @Test(arguments: states) func roundTrips(_ state: OnceRecord.State) throws {
        let bytes = record(state).encoded()
        #expect(bytes.count <= OnceRecord.maximumBytes)
        #expect(try OnceRecord(encoded: bytes) == record(state))
        for count in 0..<bytes.count {
            #expect(throws: DecodingFailure.self) {
                try OnceRecord(encoded: Array(bytes[..<count]))
            }
        }
        #expect(throws: DecodingFailure.trailing(count: 1)) {
            try OnceRecord(encoded: bytes + [0])
        }
    }

    /// The longest names fit.
    @Test func theLongest() {
        let long = FileHandle(kind: -1, bytes: Array(repeating: 0xff, count: 32)) ?? Self.file
        let name = NameInDirectory(parent: long, name: Array(repeating: 0x62, count: 255))
        #expect(record(.intended(.takesName(name, long))).encoded().count <= 512)
    }

    @Test func golden() {
        let bytes = OnceRecord(
            incarnation: Incarnation(0x0102), sequence: 3,
            state: .ended(.entry(Self.file, open: OpenID(5)))
        ).encoded()
        let expected: [UInt8] =
            [1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 17, 1, 0, 0, 0, 1, 7, 1]
            + [5, 0, 0, 0, 0, 0, 0, 0]
        #expect(bytes == expected)
    }

    @Test func damageIsSeen() {
        var random = SeededGenerator(seed: 1)
        for state in Self.states {
            let bytes = record(state).encoded()
            for _ in 0..<200 {
                var damaged = bytes
                damaged[Int.random(in: 0..<bytes.count, using: &random)] ^=
                    UInt8.random(in: 1...255, using: &random)
                // Nothing traps, and what is taken is what its bytes say.
                guard let taken = try? OnceRecord(encoded: damaged) else { continue }
                #expect(taken.encoded() == damaged)
            }
            #expect(throws: DecodingFailure.version(9)) {
                try OnceRecord(encoded: [9] + bytes.dropFirst())
            }
        }
    }
}
