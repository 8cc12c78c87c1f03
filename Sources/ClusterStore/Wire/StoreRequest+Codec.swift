extension StoreMessage where Body == StoreRequest {
    func encode(into writer: inout WireWriter) {
        writer.write(number)
        switch body {
        case .hello(let version):
            writer.write(UInt8(1))
            writer.write(StoreMessage.magic)
            writer.write(version)
        case .get(let key):
            writer.write(UInt8(2))
            writer.write(key)
        case .range(let prefix, let after, let limit):
            writer.write(UInt8(3))
            writer.write(prefix)
            writer.write(after) { $0.write($1) }
            writer.write(UInt32(limit))
        case .transaction(let transaction):
            writer.write(UInt8(4))
            transaction.encode(into: &writer)
        case .grantLease(let ttlSeconds):
            writer.write(UInt8(5))
            writer.write(UInt32(ttlSeconds))
        case .keepAlive(let lease):
            writer.write(UInt8(6))
            writer.write(lease.rawValue)
        case .revokeLease(let lease):
            writer.write(UInt8(7))
            writer.write(lease.rawValue)
        case .poll(let prefix, let fromRevision, let waitMilliseconds):
            writer.write(UInt8(8))
            writer.write(prefix)
            writer.write(fromRevision)
            writer.write(UInt32(waitMilliseconds))
        case .cancel(let request):
            writer.write(UInt8(9))
            writer.write(request)
        }
    }

    init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        number = try reader.integer()
        body = try StoreRequest(tag: reader.integer(), &reader)
        try reader.end()
    }

    /// "covs": whoever speaks something else here is told so at once.
    fileprivate static var magic: UInt32 { 0x636F_7673 }
}

extension StoreRequest {
    fileprivate init(tag: UInt8, _ reader: inout WireReader) throws(WireError) {
        switch tag {
        case 1:
            let magic: UInt32 = try reader.integer()
            if magic != StoreMessage<StoreRequest>.magic {
                throw WireError("the greeting is not a store client's")
            }
            self = .hello(version: try reader.integer())
        case 2: self = .get(key: try reader.key())
        case 3:
            self = .range(
                prefix: try reader.key(),
                after: try reader.option { reader throws(WireError) in try reader.key() },
                limit: Int(try reader.integer(UInt32.self)))
        case 4: self = .transaction(try StoreTransaction(&reader))
        case 5: self = .grantLease(ttlSeconds: Int(try reader.integer(UInt32.self)))
        case 6: self = .keepAlive(LeaseID(rawValue: try reader.integer()))
        case 7: self = .revokeLease(LeaseID(rawValue: try reader.integer()))
        case 8:
            self = .poll(
                prefix: try reader.key(), fromRevision: try reader.integer(),
                waitMilliseconds: Int(try reader.integer(UInt32.self)))
        case 9: self = .cancel(request: try reader.integer())
        default: throw WireError("unknown request \(tag)")
        }
    }
}

extension StoreTransaction {
    func encode(into writer: inout WireWriter) {
        writer.write(compares) { $1.encode(into: &$0) }
        writer.write(success) { $1.encode(into: &$0) }
        writer.write(failure) { $1.encode(into: &$0) }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        compares = try reader.list(limit: StoreLimits.compares) { reader throws(WireError) in
            try StoreCompare(&reader)
        }
        success = try reader.list(limit: StoreLimits.operations) { reader throws(WireError) in
            try StoreOperation(&reader)
        }
        failure = try reader.list(limit: StoreLimits.operations) { reader throws(WireError) in
            try StoreOperation(&reader)
        }
    }
}

extension StoreCompare {
    func encode(into writer: inout WireWriter) {
        writer.write(key)
        writer.write(relation.rawValue)
        switch target {
        case .createRevision(let revision):
            writer.write(UInt8(1))
            writer.write(revision)
        case .modRevision(let revision):
            writer.write(UInt8(2))
            writer.write(revision)
        case .version(let version):
            writer.write(UInt8(3))
            writer.write(version)
        case .value(let value):
            writer.write(UInt8(4))
            writer.write(value)
        }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        key = try reader.key()
        let code: UInt8 = try reader.integer()
        guard let relation = Relation(rawValue: code) else {
            throw WireError("unknown relation \(code)")
        }
        self.relation = relation
        switch try reader.integer(UInt8.self) {
        case 1: target = .createRevision(try reader.integer())
        case 2: target = .modRevision(try reader.integer())
        case 3: target = .version(try reader.integer())
        case 4: target = .value(try reader.blob(limit: StoreLimits.valueBytes))
        case let other: throw WireError("unknown target \(other)")
        }
    }
}

extension StoreOperation {
    func encode(into writer: inout WireWriter) {
        switch self {
        case .put(let key, let value, let lease):
            writer.write(UInt8(1))
            writer.write(key)
            writer.write(value)
            writer.write(lease) { $0.write($1.rawValue) }
        case .delete(let key):
            writer.write(UInt8(2))
            writer.write(key)
        case .deletePrefix(let prefix):
            writer.write(UInt8(3))
            writer.write(prefix)
        case .get(let key):
            writer.write(UInt8(4))
            writer.write(key)
        }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        switch try reader.integer(UInt8.self) {
        case 1:
            self = .put(
                try reader.key(), try reader.blob(limit: StoreLimits.valueBytes),
                lease: try reader.lease())
        case 2: self = .delete(try reader.key())
        case 3: self = .deletePrefix(try reader.key())
        case 4: self = .get(try reader.key())
        case let other: throw WireError("unknown operation \(other)")
        }
    }
}
