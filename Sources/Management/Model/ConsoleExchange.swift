import Foundation

/// One turn of a session at a machine's serial console: what was typed goes there, what the guest has
/// written since comes back.
public struct ConsoleExchange: Codable, Sendable, Equatable {
    /// How long a turn that waits does so at most.
    public static let waitSeconds: Double = 15
    /// A session of which nothing is heard for so long is over. More than ``waitSeconds``.
    public static let idleSeconds: Double = 45
    /// What one turn takes along at most.
    public static let inputMaximumBytes = 16 << 10

    /// What one answer brings at most.
    public static let outputMaximumBytes = 16 << 10

    /// A UUID of the client's choice.
    public var session: String
    /// The first turn: opens the session. Others are of a session that is there, or has ended.
    public var isFirst: Bool
    public var input: Data
    /// Answered when the guest has written something, or after ``waitSeconds``. Only such a turn brings
    /// output, so that it comes in its order: one of them at a time.
    public var waits: Bool
    /// The last turn.
    public var isLast: Bool

    public init(
        session: String, isFirst: Bool = false, input: Data = Data(), waits: Bool = false,
        isLast: Bool = false
    ) {
        self.session = session
        self.isFirst = isFirst
        self.input = input
        self.waits = waits
        self.isLast = isLast
    }

    /// - Throws: `ManagementError` that names the wrong value.
    public func validate() throws(ManagementError) {
        guard UUID(uuidString: session) != nil else {
            throw .invalidRequest("a console's session is named by a UUID")
        }
        guard input.count <= Self.inputMaximumBytes else {
            throw .invalidRequest(
                "one turn takes \(Self.inputMaximumBytes) bytes to a console, not \(input.count)")
        }
    }
}

/// The answer to a ``ConsoleExchange``.
public struct ConsoleAnswer: Codable, Sendable, Equatable {
    /// Where the machine runs.
    public var node: String
    public var output: Data
    /// The guest has written more than anybody took, and so much of it was dropped before `output`.
    public var droppedBytes: Int
    /// The session has ended: the machine has, or moved to another node, or another client came.
    public var isOver: Bool

    public init(node: String, output: Data = Data(), droppedBytes: Int = 0, isOver: Bool = false) {
        self.node = node
        self.output = output
        self.droppedBytes = droppedBytes
        self.isOver = isOver
    }
}
