/// `struct fuse_in_header`, and where its request's arguments lie.
struct FUSERequestHeader {
    static let sizeBytes = 40

    var opcode: UInt32
    var context: FUSEContext
    /// Length of the arguments, without the extensions behind them.
    var argumentBytes: Int

    /// Checks that the header's length is that of `bytes`, and that the extensions fit.
    init(_ bytes: UnsafeRawBufferPointer) throws(FUSEDecodeError) {
        var fields = FUSEFields(bytes)
        let length = Int(try fields.u32())
        opcode = try fields.u32()
        context = FUSEContext(
            unique: try fields.u64(), nodeID: try fields.u64(), userID: try fields.u32(),
            groupID: try fields.u32(), processID: try fields.u32())
        let extensionBytes = Int(try fields.u16()) * 8
        try fields.skip(2)
        guard length == bytes.count else {
            throw .wrongLength(saidBytes: length, presentBytes: bytes.count)
        }
        guard extensionBytes <= fields.remainingBytes else {
            throw .truncated(neededBytes: extensionBytes, presentBytes: fields.remainingBytes)
        }
        argumentBytes = fields.remainingBytes - extensionBytes
    }

    /// The kernel has sent it before, to a process that has ended (FUSE_UNIQUE_RESEND).
    var isSentAgain: Bool { context.unique >> 63 == 1 }

    /// The number to answer to, where even that much of the header was read.
    static func unique(of bytes: UnsafeRawBufferPointer) -> UInt64? {
        bytes.count < sizeBytes ? nil : bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }
}
