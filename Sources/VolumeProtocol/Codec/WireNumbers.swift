// The numbers of all cases on the wire. They never change meaning: a case that goes leaves its
// number unused, a new one takes the next. The types `Refusal`, `LockKind`, `LockType`,
// `SeekTarget` and `ExtentState` state theirs themselves.

enum NodeMessageNumber: UInt8 {
    case openSession = 1
    case request = 2
    case closeSession = 3
}

enum CoordinatorReplyNumber: UInt8 {
    case sessionOpened = 1
    case result = 2
    case sessionClosed = 3
    case refused = 4
}

enum CoordinatorMessageNumber: UInt8 {
    case recall = 1
    case collectWrites = 2
    case recallMetadata = 3
}

enum NodeReplyNumber: UInt8 {
    case returned = 1
    case collected = 2
    case refused = 3
}

enum OperationNumber: UInt8, CaseIterable {
    case root = 1
    case lookup = 2
    case attributes = 3
    case setAttributes = 4
    case readLink = 5
    case create = 6
    case createUnnamed = 7
    case makeNode = 8
    case makeDirectory = 9
    case makeSymbolicLink = 10
    case link = 11
    case unlink = 12
    case removeDirectory = 13
    case rename = 14
    case open = 15
    case release = 16
    case readDirectory = 17
    case statistics = 18
    case extendedAttribute = 19
    case setExtendedAttribute = 20
    case extendedAttributes = 21
    case removeExtendedAttribute = 22
    case allocate = 23
    case seek = 24
    case copyRange = 25
    case synchronize = 26
    case lock = 27
    case testLock = 28
    case cancelLock = 29
    case unlockOwner = 30
    case layoutGet = 31
    case layoutGrow = 32
    case layoutReturn = 33
    case read = 34
    case write = 35
    case reclaimLayout = 36
    case reclaimLock = 37
    case reclaimed = 38
    case layoutFill = 39
}

enum OperationResultNumber: UInt8, CaseIterable {
    case done = 1
    case entry = 2
    case attributes = 3
    case bytes = 4
    case names = 5
    case directory = 6
    case statistics = 7
    case offset = 8
    case copied = 9
    case layout = 10
    case growth = 11
    case sendData = 12
    case lockConflict = 13
    case data = 14
    case written = 15
    case failed = 16
}

/// What follows a directory's entry.
enum EntryFileNumber: UInt8 {
    case none = 0
    case file = 1
    /// … whose attributes are granted.
    case granted = 2
}

enum LayoutEndNumber: UInt8 {
    case unknown = 0
    case at = 1
}

enum TimeChangeNumber: UInt8 {
    case now = 0
    case to = 1
}

/// The bits that say which values of an `AttributeChange` follow.
enum AttributeChangeBits {
    static let mode: UInt8 = 1
    static let userID: UInt8 = 2
    static let groupID: UInt8 = 4
    static let sizeBytes: UInt8 = 8
    static let accessTime: UInt8 = 16
    static let modificationTime: UInt8 = 32
    /// The value itself.
    static let clearsSetID: UInt8 = 64
    static let all: UInt8 = 127
}

/// The bits that say which values of a `WriteReport` follow.
enum WriteReportBits {
    static let age: UInt8 = 1
    static let grownSize: UInt8 = 2
    static let unusedFill: UInt8 = 4
    static let all: UInt8 = 7
}
