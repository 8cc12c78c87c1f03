import Testing

@testable import FUSE

@Suite struct HandshakeTests {
    static func initRequest(
        major: UInt32 = 7, minor: UInt32 = 45, flags: UInt32 = .max, flags2: UInt32 = .max
    ) -> [UInt8] {
        var encoder = FUSEEncoder(capacity: 104)
        encoder.u32(104)
        encoder.u32(26)
        encoder.u64(2)
        encoder.zeros(24)
        encoder.u32(major)
        encoder.u32(minor)
        encoder.u32(131072)
        encoder.u32(flags)
        encoder.u32(flags2)
        encoder.zeros(44)
        return encoder.bytes
    }

    private func agree(_ request: [UInt8]) throws -> FUSEHandshake {
        try request.withUnsafeBytes {
            try FUSEHandshake(request: $0, options: FUSEMountOptions())
        }
    }

    @Test func takesWhatItKnows() throws {
        let agreed = try agree(Self.initRequest())
        #expect(agreed.unique == 2)
        #expect(agreed.flags.isSuperset(of: FUSEHandshake.required.union(FUSEHandshake.optional)))
        // No write-back cache, no O_TRUNC within open.
        #expect(agreed.flags.rawValue & (1 << 16 | 1 << 3) == 0)
        #expect(agreed.reply.count == 64)
        agreed.reply.withUnsafeBytes {
            #expect($0.loadUnaligned(fromByteOffset: 16, as: UInt16.self) == 256)
            #expect($0.loadUnaligned(fromByteOffset: 20, as: UInt32.self) == 1 << 20)
            #expect($0.loadUnaligned(fromByteOffset: 24, as: UInt32.self) == 1)
            #expect($0.loadUnaligned(fromByteOffset: 28, as: UInt16.self) == 256)
        }
    }

    @Test func neverMoreThanOffered() throws {
        let offered = UInt32(FUSEHandshake.required.rawValue)
        let agreed = try agree(Self.initRequest(minor: 31, flags: offered, flags2: 0))
        #expect(agreed.flags == FUSEHandshake.required)
        #expect(agreed.protocolMinor == 31)
    }

    @Test func refuses() {
        for bad in [
            Self.initRequest(major: 8), Self.initRequest(minor: 30), Self.initRequest(flags: 0),
            Array(Self.initRequest().dropLast()),
        ] {
            #expect(throws: FUSEHandshake.Failure.self) { _ = try agree(bad) }
        }
    }
}
