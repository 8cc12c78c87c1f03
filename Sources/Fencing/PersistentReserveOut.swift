/// PERSISTENT RESERVE OUT (SPC-4, 6.16).
enum PersistentReserveOut {
    enum ServiceAction: UInt8, CustomStringConvertible {
        case register = 0x00
        case reserve = 0x01
        case preempt = 0x04
        case preemptAndAbort = 0x05
        case registerAndIgnoreExistingKey = 0x06

        var description: String {
            switch self {
            case .register: "REGISTER"
            case .reserve: "RESERVE"
            case .preempt: "PREEMPT"
            case .preemptAndAbort: "PREEMPT AND ABORT"
            case .registerAndIgnoreExistingKey: "REGISTER AND IGNORE EXISTING KEY"
            }
        }
    }

    /// The basic parameter list has always this length (table 232).
    static let parameterBytes: UInt32 = 24

    /// `kind` is nil where the action looks at no type. The scope is the logical unit's, 0.
    static func command(
        _ action: ServiceAction, kind: PersistentReservation.Kind? = nil
    ) -> [UInt8] {
        [0x5f, action.rawValue, kind?.rawValue ?? 0, 0, 0] + BigEndian.bytes(parameterBytes) + [0]
    }

    /// - Parameters:
    ///   - key: this path's own key, zero where it has none.
    ///   - actionKey: the key to register, or the victim's.
    ///   - isPersistent: APTPL, Activate Persist Through Power Loss.
    static func parameters(
        key: UInt64, actionKey: UInt64, isPersistent: Bool = false
    ) -> [UInt8] {
        BigEndian.bytes(key) + BigEndian.bytes(actionKey) + BigEndian.bytes(UInt32(0))
            + [isPersistent ? 0x01 : 0x00, 0, 0, 0]
    }
}
