import Testing
import VolumeModel

@testable import VolumeProtocol

/// What decoding must not let through.
@Suite struct RefusalTests {
    private func refuses(_ operation: Operation) {
        let message = NodeMessage.request(
            WireSamples.header, sequence: 1, slot: 0, operation)
        #expect(throws: DecodingFailure.self, "\(operation)") {
            try NodeMessage(encoded: message.encoded())
        }
    }

    private func refuses(_ result: OperationResult) {
        let message = CoordinatorReply.result(sequence: 1, result, [])
        #expect(throws: DecodingFailure.self, "\(result)") {
            try CoordinatorReply(encoded: message.encoded())
        }
    }

    @Test(arguments: [
        [], [0x61, 0], Array("a/b".utf8), Array(repeating: 0x61, count: 256),
        Array(repeating: 0x61, count: 4095),
    ])
    func badNames(_ name: [UInt8]) {
        refuses(.lookup(NameInDirectory(parent: WireSamples.file, name: name)))
        let entry = DirectoryEntry(name: name, inode: 1, kind: nil, nextCookie: 0)
        refuses(.directory([DirectoryEntryWithFile(entry: entry, file: nil)], atEnd: true))
        if !name.contains(UInt8(ascii: "/")) {
            refuses(.extendedAttribute(WireSamples.file, name: name))
            refuses(.names([name]))
        }
    }

    @Test func beyondTheLimits() {
        let file = WireSamples.file
        let tooLong = [UInt8](repeating: 1, count: Limits.extendedAttributeMaximumBytes + 1)
        refuses(.setExtendedAttribute(file, name: [1], value: tooLong, flags: 0))
        refuses(.bytes(tooLong))
        refuses(.names(Array(repeating: Array(repeating: 1, count: 255), count: 257)))
        let target = [UInt8](repeating: 1, count: Limits.symbolicLinkMaximumBytes + 1)
        refuses(.makeSymbolicLink(WireSamples.name, target: target, WireSamples.creator))
        refuses(.makeSymbolicLink(WireSamples.name, target: [], WireSamples.creator))
        let length = UInt64(Limits.payloadMaximumBytes) + 1
        refuses(.read(file, ByteRange(start: 0, end: length)))
        refuses(.written(offsetBytes: 0, lengthBytes: UInt32(length), sizeBytes: length))
        refuses(.allocate(file, mode: 0, .everything))
        refuses(.layoutGrow(file, .everything))
        refuses(.layoutFill(file, .everything))
        refuses(.seek(file, offsetBytes: 1 << 63, .data))
        refuses(.write(file, offsetBytes: .max, []))
        refuses(.write(file, offsetBytes: 0, WriteFlags(rawValue: 8)))
        let claim = GrowthClaim(visibleSizeBytes: 2, allocatedEndBytes: 1)
        refuses(.reclaimLayout(file, [], growth: claim))
        let ranges = [ByteRange](
            repeating: WireSamples.range, count: Limits.rangesPerReclaimMaximum + 1)
        refuses(.reclaimLayout(file, ranges, growth: nil))
        refuses(.offset(.max))
        refuses(.failed(ErrorCode(0)))
        refuses(.failed(ErrorCode(-5)))
        refuses(.failed(ErrorCode(4096)))
        var change = AttributeChange()
        change.modificationTime = .to(Timestamp(seconds: 0, nanoseconds: 1_000_000_000))
        refuses(.setAttributes(file, change))
        var lock = WireSamples.lock(.record, .read, waits: false)
        lock.startBytes = 5
        lock.lastBytes = 4
        refuses(.lock(lock))
        lock.lastBytes = 1 << 63
        refuses(.lock(lock))
        refuses(
            .lockConflict(LockConflict(type: .unlock, startBytes: 0, lastBytes: 1, processID: 0)))
    }

    @Test(arguments: [UInt16(64), 65, 0xFFFE]) func slotsThatNobodyHas(_ slot: UInt16) {
        let message = NodeMessage.request(
            WireSamples.header, sequence: 1, slot: slot, .unlink(WireSamples.name))
        #expect(throws: DecodingFailure.unknown("slot", number: UInt64(slot))) {
            try NodeMessage(encoded: message.encoded())
        }
    }

    @Test func badLayouts() {
        var gap = WireSamples.grants[0]
        gap.extents.removeLast()
        refuses(.layout(gap))
        var odd = WireSamples.grants[0]
        odd.extents[0].lunOffsetBytes += 512
        refuses(.growth(odd))
        var many = WireSamples.grants[2]
        many.range.endBytes += 4096
        many.extents.append(
            Extent(
                fileOffsetBytes: many.range.endBytes - 4096, lunOffsetBytes: 0, lengthBytes: 4096,
                state: .opaque))
        #expect(SectorMap.isValid(range: many.range, extents: many.extents))
        refuses(.layout(many))
    }

    @Test func otherVersionsAndSizes() {
        var bytes = NodeMessage.openSession(WireSamples.header, firstSequence: 7).encoded()
        bytes[0] = WireFormat.version + 1
        #expect(throws: DecodingFailure.version(WireFormat.version + 1)) {
            try NodeMessage(encoded: bytes)
        }
        #expect(throws: DecodingFailure.truncated(offset: 0)) { try NodeMessage(encoded: []) }
        let size = Limits.messageMaximumBytes + 1
        #expect(
            throws: DecodingFailure.tooLong(
                "message", length: size, maximum: Limits.messageMaximumBytes)
        ) {
            try NodeMessage(encoded: Array(repeating: WireFormat.version, count: size))
        }
        #expect(throws: DecodingFailure.unknown("node message", number: 0)) {
            try NodeMessage(encoded: [WireFormat.version, 0])
        }
    }

    /// A count that the message cannot hold is refused before anything is allocated for it.
    @Test func countsAreCheckedFirst() {
        var writer = ByteWriter()
        writer.append(UInt32(4000))
        writer.append(UInt64(0))
        var reader = ByteReader(writer.bytes)
        #expect(throws: DecodingFailure.truncated(offset: 4)) {
            try reader.count("extents", maximum: 4096, elementBytes: Extent.encodedBytes)
        }
        var second = ByteReader([0xff, 0xff, 0xff, 0xff])
        #expect(
            throws: DecodingFailure.tooLong("value", length: 0xffff_ffff, maximum: 65536)
        ) { try second.counted("value", maximum: 65536) }
    }

    @Test func failuresSayWhatIsWrong() {
        let failures: [DecodingFailure] = [
            .truncated(offset: 12), .trailing(count: 3), .version(9),
            .tooLong("name", length: 300, maximum: 255), .unknown("refusal", number: 77),
            .invalid("range"),
        ]
        let parts = ["12", "3 bytes", "9", "300", "77", "range"]
        for (failure, part) in zip(failures, parts) {
            #expect(failure.description.contains(part))
        }
    }
}
