import VolumeModel

@testable import VolumeProtocol

/// Values of every case, with small and extreme contents.
enum WireSamples {
    static func handle(_ bytes: [UInt8], kind: Int32 = 129) -> FileHandle {
        guard let handle = FileHandle(kind: kind, bytes: bytes) else {
            preconditionFailure("a sample's handle is too long")
        }
        return handle
    }

    static let file = handle([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    static let other = handle(Array(repeating: 0xff, count: 32), kind: -1)
    static let name = NameInDirectory(parent: file, name: Array("disk.qcow2".utf8))
    static let longName = NameInDirectory(
        parent: other, name: Array(repeating: 0xfe, count: Limits.nameMaximumBytes))
    static let creator = Creator(userID: 1000, groupID: 100, umask: 0o022)
    static let open = OpenID(0x0102_0304_0506_0708)
    static let header = MessageHeader(
        volume: VolumeID(high: 0x1122_3344_5566_7788, low: 0x99aa_bbcc_ddee_ff00),
        epoch: Epoch(7), incarnation: Incarnation(0xfeed))
    static let largestOffset = UInt64(Int64.max)
    static let range = ByteRange(start: 4096, end: 12288)
    static let attributes = FileAttributes(
        inode: 131, sizeBytes: 5000, blocks512: 16,
        accessTime: Timestamp(seconds: -1, nanoseconds: 999_999_999),
        modificationTime: Timestamp(seconds: 1_763_838_000, nanoseconds: 0),
        changeTime: Timestamp(seconds: .max, nanoseconds: 1), mode: 0o100644, linkCount: 1,
        userID: 0, groupID: .max, deviceMajor: 8, deviceMinor: 16, blockSizeBytes: 4096)
    static let entry = FileEntry(handle: file, attributes: attributes)
    static let reports = [
        WriteReport(), WriteReport(ageNanoseconds: 5), WriteReport(grownSizeBytes: largestOffset),
        WriteReport(ageNanoseconds: .max, grownSizeBytes: 0),
        WriteReport(
            ageNanoseconds: 1,
            unusedFill: UnusedFill(range: range, generation: LayoutGeneration(.max))),
    ]
    static let grants = [
        LayoutGrant(
            generation: LayoutGeneration(9), range: range,
            extents: [
                Extent(
                    fileOffsetBytes: 4096, lunOffsetBytes: 1 << 40, lengthBytes: 4096,
                    state: .written),
                Extent(fileOffsetBytes: 8192, lunOffsetBytes: 0, lengthBytes: 4096, state: .hole),
            ], end: .at(sizeBytes: 9000)),
        LayoutGrant(
            generation: LayoutGeneration(.max), range: ByteRange(start: 0, end: 0), extents: [],
            end: .unknown),
        LayoutGrant(
            generation: LayoutGeneration(1),
            range: ByteRange(start: 0, end: UInt64(Limits.extentsPerGrantMaximum) * 4096),
            extents: (0..<UInt64(Limits.extentsPerGrantMaximum)).map {
                Extent(
                    fileOffsetBytes: $0 * 4096, lunOffsetBytes: $0 * 8192, lengthBytes: 4096,
                    state: ExtentState.allCases[Int($0 % 2) * 3])
            }, end: .unknown),
    ]

    static func lock(_ kind: LockKind, _ type: LockType, waits: Bool) -> LockRequest {
        LockRequest(
            file: file, open: open, owner: .max, kind: kind, type: type, startBytes: 100,
            lastBytes: largestOffset, processID: 4711, waits: waits)
    }

    static var attributeChanges: [AttributeChange] {
        var all = AttributeChange()
        all.mode = 0o4755
        all.userID = 1
        all.groupID = 2
        all.sizeBytes = largestOffset
        all.accessTime = .now
        all.modificationTime = .to(Timestamp(seconds: 5, nanoseconds: 6))
        all.clearsSetID = true
        var size = AttributeChange()
        size.sizeBytes = 0
        return [AttributeChange(), all, size]
    }

    static var operations: [Operation] {
        var samples: [Operation] = [
            .root, .lookup(name), .lookup(longName), .attributes(file), .readLink(other),
            .create(name, mode: 0o644, creator, open: open, exclusive: true),
            .create(longName, mode: 0, creator, open: open, exclusive: false),
            .createUnnamed(file, mode: 0o600, creator, open: open),
            .makeNode(name, mode: 0o020600, deviceMajor: 1, deviceMinor: 3, creator),
            .makeDirectory(name, mode: 0o755, creator),
            .makeSymbolicLink(
                name, target: Array(repeating: 0x2f, count: Limits.symbolicLinkMaximumBytes),
                creator),
            .link(file, name), .unlink(name), .removeDirectory(name),
            .rename(name, to: longName, flags: 2), .open(file, open),
            .readDirectory(file, cookie: .min, maximumBytes: 65536, withAttributes: true),
            .readDirectory(file, cookie: 0, maximumBytes: 1, withAttributes: false),
            .statistics, .extendedAttribute(file, name: Array("user.a/b".utf8)),
            .setExtendedAttribute(file, name: [1], value: [], flags: 1),
            .setExtendedAttribute(
                file, name: [1],
                value: Array(repeating: 7, count: Limits.extendedAttributeMaximumBytes), flags: 0),
            .extendedAttributes(file), .removeExtendedAttribute(other, name: [0xff]),
            .allocate(file, mode: 3, range), .seek(file, offsetBytes: 9, .data),
            .seek(file, offsetBytes: largestOffset, .hole),
            .copyRange(
                file, sourceOffsetBytes: 1, to: other, targetOffsetBytes: 2, lengthBytes: 3),
            .synchronize(file), .cancelLock(sequence: 12), .unlockOwner(file, owner: 13),
            .layoutGet(file, .everything), .layoutGrow(file, range), .layoutFill(file, range),
            .read(file, ByteRange(start: 1, end: 1 + UInt64(Limits.payloadMaximumBytes))),
            .write(file, offsetBytes: 0, []),
            .write(file, offsetBytes: largestOffset, [.append, .clearsSetID, .durable]),
            .reclaimLayout(file, [], growth: nil),
            .reclaimLayout(other, [.everything], growth: nil),
            .reclaimLayout(
                file, Array(repeating: range, count: Limits.rangesPerReclaimMaximum),
                growth: GrowthClaim(visibleSizeBytes: 5, allocatedEndBytes: largestOffset)),
            .reclaimLock(lock(.record, .write, waits: false)), .reclaimed,
        ]
        samples += attributeChanges.map { .setAttributes(file, $0) }
        for report in reports {
            samples.append(.release(file, open, report))
            samples.append(.layoutReturn(file, .everything, report))
        }
        for kind in [LockKind.record, .flock] {
            for type in [LockType.read, .write, .unlock] {
                samples.append(.lock(lock(kind, type, waits: true)))
                samples.append(.testLock(lock(kind, type, waits: false)))
            }
        }
        return samples
    }

    static var results: [OperationResult] {
        var samples: [OperationResult] = [
            .done, .entry(entry), .attributes(attributes), .bytes([]),
            .bytes(Array(repeating: 9, count: Limits.extendedAttributeMaximumBytes)),
            .names([]), .names([Array("user.x".utf8), [5]]), .directory([], atEnd: true),
            .statistics(
                FileSystemStatistics(
                    blocks: 1, blocksFree: 2, blocksAvailable: 3, files: 4, filesFree: .max,
                    blockSizeBytes: 4096, nameLengthMaximum: 255)),
            .offset(largestOffset), .copied(0), .sendData, .lockConflict(nil),
            .lockConflict(
                LockConflict(
                    type: .write, startBytes: 5, lastBytes: largestOffset, processID: 0)),
            .data,
            .written(
                offsetBytes: 5, lengthBytes: UInt32(Limits.payloadMaximumBytes),
                sizeBytes: largestOffset),
            .failed(.stale), .failed(ErrorCode(4095)),
        ]
        let kinds: [FileKind?] = [nil] + FileKind.allCases
        let entries = kinds.enumerated().map { index, kind in
            DirectoryEntryWithFile(
                entry: DirectoryEntry(
                    name: Array("entry\(index)".utf8), inode: UInt64(index), kind: kind,
                    nextCookie: -Int64(index)),
                file: index % 2 == 0 ? entry : nil, isGranted: index % 4 == 0)
        }
        samples.append(.directory(entries, atEnd: false))
        for grant in grants {
            samples.append(.layout(grant))
            samples.append(.growth(grant))
        }
        return samples
    }

    static let grantsOfMetadata: [MetadataGrant] = [[.attributes], [.names], .all]

    static let refusals = (0...7).compactMap { Refusal(rawValue: $0) }

    static var nodeMessages: [NodeMessage] {
        [.openSession(header, firstSequence: 7), .closeSession(header)]
            + operations.map {
                .request(header, sequence: 3, slot: $0.needsSlot ? 63 : Operation.noSlot, $0)
            }
    }

    static var coordinatorReplies: [CoordinatorReply] {
        [.sessionOpened(root: entry), .sessionClosed] + refusals.map { .refused($0) }
            + results.map { .result(sequence: .max, $0, []) }
            + grantsOfMetadata.map { .result(sequence: 1, .entry(entry), $0) }
    }

    static var coordinatorMessages: [CoordinatorMessage] {
        [
            .recall(header, file, .everything, LayoutGeneration(3)),
            .recall(header, other, range, LayoutGeneration(0)), .collectWrites(header, file),
            .recallMetadata(header, other),
        ]
    }

    static var nodeReplies: [NodeReply] {
        reports.map { .returned($0) } + reports.map { .collected($0) }
            + refusals.map { .refused($0) }
    }

    /// Of all four kinds.
    static var messages: [[UInt8]] {
        nodeMessages.map { $0.encoded() } + coordinatorReplies.map { $0.encoded() }
            + coordinatorMessages.map { $0.encoded() } + nodeReplies.map { $0.encoded() }
    }
}
