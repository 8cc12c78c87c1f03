extension StoreMessage where Body == StoreReply {
    func encode(into writer: inout WireWriter) {
        writer.write(number)
        switch body {
        case .hello(let hello):
            writer.write(UInt8(1))
            writer.write(hello.storeID)
            writer.write(hello.revision)
        case .get(let response):
            writer.write(UInt8(2))
            writer.write(response.entry) { $1.encode(into: &$0) }
            writer.write(response.revision)
        case .range(let response):
            writer.write(UInt8(3))
            writer.write(response.entries) { $1.encode(into: &$0) }
            writer.write(response.more)
            writer.write(response.revision)
        case .transaction(let response):
            writer.write(UInt8(4))
            writer.write(response.succeeded)
            writer.write(response.results) { $1.encode(into: &$0) }
            writer.write(response.revision)
        case .lease(let response):
            writer.write(UInt8(5))
            writer.write(response.lease.rawValue)
            writer.write(UInt32(response.ttlSeconds))
            writer.write(response.revision)
        case .revoked(let revision):
            writer.write(UInt8(6))
            writer.write(revision)
        case .page(let page):
            writer.write(UInt8(7))
            writer.write(page.events) { $1.encode(into: &$0) }
            writer.write(page.nextRevision)
        case .failure(let error):
            writer.write(UInt8(8))
            error.encode(into: &writer)
        }
    }

    init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        number = try reader.integer()
        body = try StoreReply(tag: reader.integer(), &reader)
        try reader.end()
    }
}

extension StoreReply {
    fileprivate init(tag: UInt8, _ reader: inout WireReader) throws(WireError) {
        switch tag {
        case 1:
            self = .hello(
                StoreHello(storeID: try reader.blob(limit: 64), revision: try reader.integer()))
        case 2:
            let entry = try reader.option { reader throws(WireError) in try KeyValue(&reader) }
            self = .get(GetResponse(entry: entry, revision: try reader.integer()))
        case 3:
            let entries = try reader.list(limit: StoreLimits.rangeEntries) {
                reader throws(WireError) in try KeyValue(&reader)
            }
            self = .range(
                RangeResponse(
                    entries: entries, more: try reader.bool(), revision: try reader.integer()))
        case 4:
            let succeeded = try reader.bool()
            let results = try reader.list(limit: StoreLimits.operations) {
                reader throws(WireError) in try StoreResult(&reader)
            }
            self = .transaction(
                TransactionResponse(
                    succeeded: succeeded, results: results, revision: try reader.integer()))
        case 5:
            self = .lease(
                LeaseResponse(
                    lease: LeaseID(rawValue: try reader.integer()),
                    ttlSeconds: Int(try reader.integer(UInt32.self)),
                    revision: try reader.integer()))
        case 6: self = .revoked(revision: try reader.integer())
        case 7:
            // The frame's own size bounds the number of events.
            let events = try reader.list(limit: StoreLimits.frameBytes) {
                reader throws(WireError) in try StoreEvent(&reader)
            }
            self = .page(WatchPage(events: events, nextRevision: try reader.integer()))
        case 8: self = .failure(try StoreError(&reader))
        default: throw WireError("unknown reply \(tag)")
        }
    }
}

extension StoreResult {
    func encode(into writer: inout WireWriter) {
        switch self {
        case .put:
            writer.write(UInt8(1))
        case .deleted(let keys):
            writer.write(UInt8(2))
            writer.write(UInt32(keys))
        case .entry(let entry):
            writer.write(UInt8(3))
            writer.write(entry) { $1.encode(into: &$0) }
        }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        switch try reader.integer(UInt8.self) {
        case 1: self = .put
        case 2: self = .deleted(keys: Int(try reader.integer(UInt32.self)))
        case 3:
            self = .entry(
                try reader.option { reader throws(WireError) in try KeyValue(&reader) })
        case let other: throw WireError("unknown result \(other)")
        }
    }
}

extension StoreError {
    func encode(into writer: inout WireWriter) {
        let (tag, number, text): (UInt8, Int64, String) =
            switch self {
            case .compacted(let revision): (1, revision, "")
            case .leaseNotFound(let lease): (2, lease.rawValue, "")
            case .invalidRequest(let text): (3, 0, text)
            case .limitExceeded(let text): (4, 0, text)
            case .storageFull(let text): (5, 0, text)
            case .outcomeUnknown(let text): (6, 0, text)
            case .unavailable(let text): (7, 0, text)
            case .timedOut(let text): (8, 0, text)
            case .protocolViolation(let text): (9, 0, text)
            case .storeReplaced(let text): (10, 0, text)
            case .storeFailed(let text): (11, 0, text)
            case .damaged(let text): (12, 0, text)
            case .inUse(let text): (13, 0, text)
            case .closed: (14, 0, "")
            }
        writer.write(tag)
        writer.write(number)
        var cut = text
        while cut.utf8.count > StoreLimits.errorTextBytes { cut.removeLast() }
        writer.write(cut)
    }

    init(_ reader: inout WireReader) throws(WireError) {
        let tag: UInt8 = try reader.integer()
        let number: Int64 = try reader.integer()
        let text = try reader.text(limit: StoreLimits.errorTextBytes)
        if tag > 2 && number != 0 { throw WireError("error \(tag) has a number") }
        if (tag < 3 || tag == 14) && !text.isEmpty { throw WireError("error \(tag) has a text") }
        switch tag {
        case 1: self = .compacted(oldestRevision: number)
        case 2: self = .leaseNotFound(LeaseID(rawValue: number))
        case 3: self = .invalidRequest(text)
        case 4: self = .limitExceeded(text)
        case 5: self = .storageFull(text)
        case 6: self = .outcomeUnknown(text)
        case 7: self = .unavailable(text)
        case 8: self = .timedOut(text)
        case 9: self = .protocolViolation(text)
        case 10: self = .storeReplaced(text)
        case 11: self = .storeFailed(text)
        case 12: self = .damaged(text)
        case 13: self = .inUse(text)
        case 14: self = .closed
        default: throw WireError("unknown error \(tag)")
        }
    }
}
