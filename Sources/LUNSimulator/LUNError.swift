import Glibc

/// An operating error of the simulator: what happened, and what to do about it.
public struct LUNError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }

    /// A failed system call, from `errno`.
    static func system(_ call: String, _ subject: String, error: Int32 = errno) -> LUNError {
        LUNError("\(call) \(subject): \(String(cString: strerror(error)))")
    }
}
