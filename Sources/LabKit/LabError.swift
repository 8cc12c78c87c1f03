/// An operating error of the lab: what happened, and what to do about it.
public struct LabError: Error, CustomStringConvertible, Sendable, Equatable {
    public enum Code: String, Sendable {
        case badOption
        case alreadyUp
        case notFound
        case damagedRecord
        case systemCall
        case commandFailed
        case commandTimedOut
        case daemonFailed
        case notServing
        case leftovers
        case missingBinary
        case fileSystemDamaged
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
