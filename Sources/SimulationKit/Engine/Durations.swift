extension UInt64 {
    /// In nanoseconds, as all times of the simulation.
    static func microseconds(_ count: UInt64) -> UInt64 { count * 1000 }
    static func milliseconds(_ count: UInt64) -> UInt64 { count * 1_000_000 }
    static func seconds(_ count: UInt64) -> UInt64 { count * 1_000_000_000 }
}

/// Data move in cells: a quarter of a block, so that a write can be a part of one. A cell holds the
/// number of the write that filled it; 0 is a zero.
typealias Cell = UInt32

enum Cells {
    static let bytes: UInt64 = 1024
    static let perBlock = 4
}
