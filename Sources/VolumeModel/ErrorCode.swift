/// An error number of Linux (errno(3)), which is also what travels between nodes and what FUSE answers.
/// The numbers are the kernel's generic ones (`asm-generic/errno.h`), the same on x86-64 and arm64.
public struct ErrorCode: Error, Hashable, Sendable, CustomStringConvertible {
    /// Positive.
    public let number: Int32

    public init(_ number: Int32) { self.number = number }

    public static let notPermitted = ErrorCode(1)  // EPERM
    public static let noEntry = ErrorCode(2)  // ENOENT
    public static let interrupted = ErrorCode(4)  // EINTR
    public static let inputOutput = ErrorCode(5)  // EIO
    public static let badDescriptor = ErrorCode(9)  // EBADF
    public static let tryAgain = ErrorCode(11)  // EAGAIN
    public static let noMemory = ErrorCode(12)  // ENOMEM
    public static let accessDenied = ErrorCode(13)  // EACCES
    public static let busy = ErrorCode(16)  // EBUSY
    public static let exists = ErrorCode(17)  // EEXIST
    public static let crossDevice = ErrorCode(18)  // EXDEV
    public static let noDevice = ErrorCode(19)  // ENODEV
    public static let notDirectory = ErrorCode(20)  // ENOTDIR
    public static let isDirectory = ErrorCode(21)  // EISDIR
    public static let invalid = ErrorCode(22)  // EINVAL
    public static let tooManyOpenFiles = ErrorCode(23)  // ENFILE
    public static let notTerminal = ErrorCode(25)  // ENOTTY
    public static let fileTooLarge = ErrorCode(27)  // EFBIG
    public static let noSpace = ErrorCode(28)  // ENOSPC
    public static let readOnly = ErrorCode(30)  // EROFS
    public static let tooManyLinks = ErrorCode(31)  // EMLINK
    public static let outOfRange = ErrorCode(34)  // ERANGE
    public static let deadlock = ErrorCode(35)  // EDEADLK
    public static let nameTooLong = ErrorCode(36)  // ENAMETOOLONG
    public static let noLocks = ErrorCode(37)  // ENOLCK
    public static let notImplemented = ErrorCode(38)  // ENOSYS
    public static let notEmpty = ErrorCode(39)  // ENOTEMPTY
    public static let reservationConflict = ErrorCode(52)  // EBADE
    public static let noData = ErrorCode(61)  // ENODATA
    public static let protocolError = ErrorCode(71)  // EPROTO
    public static let illegalSequence = ErrorCode(84)  // EILSEQ
    public static let notSupported = ErrorCode(95)  // EOPNOTSUPP
    public static let notConnected = ErrorCode(107)  // ENOTCONN
    public static let timedOut = ErrorCode(110)  // ETIMEDOUT
    public static let stale = ErrorCode(116)  // ESTALE
    public static let remoteIO = ErrorCode(121)  // EREMOTEIO

    public var description: String { "errno \(number)" }
}
