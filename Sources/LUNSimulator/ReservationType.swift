/// A persistent reservation's type, SPC-4 table 66.
public enum ReservationType: UInt8, Sendable, CaseIterable, Codable {
    case writeExclusive = 1
    case exclusiveAccess = 3
    case writeExclusiveRegistrantsOnly = 5
    case exclusiveAccessRegistrantsOnly = 6
    case writeExclusiveAllRegistrants = 7
    case exclusiveAccessAllRegistrants = 8

    /// Every registered path holds the reservation.
    var isAllRegistrants: Bool {
        self == .writeExclusiveAllRegistrants || self == .exclusiveAccessAllRegistrants
    }

    /// Registered paths may do what the holder may.
    var letsRegistrantsIn: Bool { rawValue >= 5 }

    /// Everybody may read.
    var letsEverybodyRead: Bool {
        switch self {
        case .writeExclusive, .writeExclusiveRegistrantsOnly, .writeExclusiveAllRegistrants: true
        default: false
        }
    }
}
