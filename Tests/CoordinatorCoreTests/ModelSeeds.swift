import Foundation

/// The seeds of a run: SEEDS of them from START on, as `make sim` sets them; 1 to 12 without that.
enum ModelSeeds {
    static var all: [Int] {
        let environment = ProcessInfo.processInfo.environment
        let start = environment["START"].flatMap { Int($0) } ?? 1
        let count = environment["SEEDS"].flatMap { Int($0) } ?? 12
        return Array(start..<start + max(1, count))
    }
}
