/// PERSISTENT RESERVE IN (SPC-4, 6.15): what it asks and what comes back.
enum PersistentReserveIn {
    enum ServiceAction: UInt8 {
        case readKeys = 0x00
        case readReservation = 0x01
        case reportCapabilities = 0x02
    }

    static func command(_ action: ServiceAction, allocationBytes: UInt16) -> [UInt8] {
        [0x5e, action.rawValue, 0, 0, 0, 0, 0] + BigEndian.bytes(allocationBytes) + [0]
    }
}

/// READ KEYS' answer: who is registered. A key stands there once for each path that registered it.
public struct RegisteredKeys: Sendable, Equatable {
    /// PRGENERATION: goes up with every registration and preemption, and wraps.
    public let generation: UInt32
    public let keys: [ReservationKey]

    public init(generation: UInt32, keys: [ReservationKey]) {
        self.generation = generation
        self.keys = keys
    }

    /// The bytes of the whole answer that `header` begins. SPC-4, table 220.
    static func answerBytes(header: [UInt8]) throws(FenceError) -> Int {
        guard header.count >= 8 else {
            throw .damagedAnswer("READ KEYS brought \(header.count) bytes")
        }
        let additional = BigEndian.number(header[4..<8])
        guard additional % 8 == 0 else {
            throw .damagedAnswer("READ KEYS tells of \(additional) bytes of keys of 8 bytes each")
        }
        guard additional / 8 <= FencingLimits.keysMaximum else {
            throw .damagedAnswer(
                "READ KEYS tells of \(additional / 8) keys, more than "
                    + "\(FencingLimits.keysMaximum)")
        }
        return 8 + Int(additional)
    }

    init(_ bytes: [UInt8]) throws(FenceError) {
        let expected = try RegisteredKeys.answerBytes(header: bytes)
        guard bytes.count >= expected else {
            throw .damagedAnswer("READ KEYS brought \(bytes.count) of \(expected) bytes")
        }
        var keys: [ReservationKey] = []
        for start in stride(from: 8, to: expected, by: 8) {
            guard let key = ReservationKey(BigEndian.number(bytes[start..<start + 8])) else {
                throw .damagedAnswer("READ KEYS tells of a key that is zero")
            }
            keys.append(key)
        }
        self.init(generation: UInt32(BigEndian.number(bytes[0..<4])), keys: keys)
    }
}

/// READ RESERVATION's answer.
public struct PersistentReservation: Sendable, Equatable {
    /// SPC-4, table 223.
    public enum Kind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
        case writeExclusive = 1
        case exclusiveAccess = 3
        case writeExclusiveRegistrantsOnly = 5
        case exclusiveAccessRegistrantsOnly = 6
        case writeExclusiveAllRegistrants = 7
        case exclusiveAccessAllRegistrants = 8

        public var description: String {
            switch self {
            case .writeExclusive: "Write Exclusive"
            case .exclusiveAccess: "Exclusive Access"
            case .writeExclusiveRegistrantsOnly: "Write Exclusive – Registrants Only"
            case .exclusiveAccessRegistrantsOnly: "Exclusive Access – Registrants Only"
            case .writeExclusiveAllRegistrants: "Write Exclusive – All Registrants"
            case .exclusiveAccessAllRegistrants: "Exclusive Access – All Registrants"
            }
        }
    }

    /// The holder's key; zero for the types that all registrants hold.
    public let holder: UInt64
    public let kind: Kind

    public init(holder: UInt64, kind: Kind) {
        self.holder = holder
        self.kind = kind
    }

    /// Nil where there is no reservation.
    static func decode(_ bytes: [UInt8]) throws(FenceError) -> PersistentReservation? {
        guard bytes.count >= 8 else {
            throw .damagedAnswer("READ RESERVATION brought \(bytes.count) bytes")
        }
        let additional = BigEndian.number(bytes[4..<8])
        if additional == 0 { return nil }
        guard additional == 16, bytes.count >= 24 else {
            throw .damagedAnswer(
                "READ RESERVATION tells of \(additional) bytes and brought \(bytes.count - 8)")
        }
        let (scope, type) = (bytes[21] >> 4, bytes[21] & 0x0f)
        guard scope == 0, let kind = Kind(rawValue: type) else {
            throw .damagedAnswer("a reservation of scope \(scope) and type \(type)")
        }
        return PersistentReservation(holder: BigEndian.number(bytes[8..<16]), kind: kind)
    }
}

/// REPORT CAPABILITIES' answer, as far as it matters here.
public struct ReservationCapabilities: Sendable, Equatable {
    /// PTPL_C: it can keep registrations over a loss of power.
    public let canPersist: Bool
    /// PTPL_A: it does.
    public let isPersistent: Bool
    /// The types that it says it has; nil where it does not say (TMV).
    public let kinds: Set<PersistentReservation.Kind>?

    public init(canPersist: Bool, isPersistent: Bool, kinds: Set<PersistentReservation.Kind>?) {
        self.canPersist = canPersist
        self.isPersistent = isPersistent
        self.kinds = kinds
    }

    init(_ bytes: [UInt8]) throws(FenceError) {
        guard bytes.count >= 8, BigEndian.number(bytes[0..<2]) >= 8 else {
            throw .damagedAnswer("REPORT CAPABILITIES brought \(bytes.count) bytes")
        }
        self.init(
            canPersist: bytes[2] & 0x01 != 0, isPersistent: bytes[3] & 0x01 != 0,
            kinds: bytes[3] & 0x80 != 0 ? ReservationCapabilities.kinds(bytes[4], bytes[5]) : nil)
    }

    /// The PERSISTENT RESERVATION TYPE MASK: bit N of the first byte is type N, bit 0 of the second
    /// is type 8.
    private static func kinds(_ first: UInt8, _ second: UInt8) -> Set<PersistentReservation.Kind> {
        Set(
            PersistentReservation.Kind.allCases.filter { kind in
                kind.rawValue == 8 ? second & 1 != 0 : first >> kind.rawValue & 1 != 0
            })
    }
}
