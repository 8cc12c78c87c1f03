import Testing

@testable import LUNSimulator

/// The CDBs and parameter lists of SPC-4, byte by byte.
enum CDB {
    static func reserveIn(_ action: UInt8, allocationBytes: UInt16 = 0xffff) -> [UInt8] {
        [
            0x5e, action, 0, 0, 0, 0, 0, UInt8(allocationBytes >> 8),
            UInt8(truncatingIfNeeded: allocationBytes), 0,
        ]
    }

    static func reserveOut(_ action: UInt8, type: UInt8 = 0) -> [UInt8] {
        [0x5f, action, type, 0, 0, 0, 0, 0, 24, 0]
    }

    static func parameters(key: UInt64, service: UInt64 = 0, flags: UInt8 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: key)
        bytes.append(bigEndian: service)
        return bytes + [0, 0, 0, 0, flags, 0, 0, 0]
    }
}

extension ReservationTarget {
    mutating func out(
        _ action: UInt8, type: UInt8 = 0, key: UInt64, service: UInt64 = 0, flags: UInt8 = 0,
        from path: String
    ) -> Outcome {
        execute(
            cdb: CDB.reserveOut(action, type: type),
            dataOut: CDB.parameters(key: key, service: service, flags: flags), from: path)
    }

    mutating func read(_ action: UInt8, from path: String = "a") -> [UInt8] {
        let response = execute(cdb: CDB.reserveIn(action), dataOut: [], from: path).response
        #expect(response.status == .good)
        return response.data
    }

    /// Registers "a", "b" and "c" with the keys 0xa, 0xb and 0xc.
    static func registered(supportsPersistence: Bool = true) -> ReservationTarget {
        var target = ReservationTarget(
            paths: ["a", "b", "c", "d"], supportsPersistence: supportsPersistence)
        for (path, key) in [("a", 0xa), ("b", 0xb), ("c", 0xc)] as [(String, UInt64)] {
            #expect(target.out(0, key: 0, service: key, from: path).response == .good)
        }
        return target
    }
}

@Suite struct ReservationTargetTests {
    @Test func registrationsAreChecked() {
        var target = ReservationTarget.registered()
        #expect(target.generation == 3)
        // The key of before is asked for.
        #expect(target.out(0, key: 1, service: 2, from: "a").response == .conflict)
        #expect(target.out(0, key: 0, service: 2, from: "a").response == .conflict)
        #expect(target.out(0, key: 1, service: 2, from: "d").response == .conflict)
        #expect(target.out(0, key: 0xa, service: 0xaa, from: "a").response == .good)
        #expect(target.keys["a"] == 0xaa)
        // REGISTER AND IGNORE EXISTING KEY does not ask.
        #expect(target.out(6, key: 77, service: 0xab, from: "a").response == .good)
        #expect(target.keys["a"] == 0xab && target.generation == 5)
        #expect(target.out(6, key: 0, service: 0, from: "d").response == .good)
        #expect(target.keys["d"] == nil && target.generation == 5)
        #expect(target.out(0, key: 0xab, service: 0, from: "a").response == .good)
        #expect(target.keys["a"] == nil && target.generation == 6)
    }

    @Test func keysAndReservationAreReadBack() {
        var target = ReservationTarget.registered()
        #expect(
            target.read(0) == [0, 0, 0, 3, 0, 0, 0, 24] + [0, 0, 0, 0, 0, 0, 0, 0xa]
                + [0, 0, 0, 0, 0, 0, 0, 0xb] + [0, 0, 0, 0, 0, 0, 0, 0xc])
        #expect(target.read(1) == [0, 0, 0, 3, 0, 0, 0, 0])
        #expect(target.out(1, type: 5, key: 0xb, from: "b").response == .good)
        #expect(
            target.read(1) == [0, 0, 0, 3, 0, 0, 0, 16] + [0, 0, 0, 0, 0, 0, 0, 0xb]
                + [0, 0, 0, 0, 0, 5, 0, 0])
        #expect(target.out(2, type: 5, key: 0xb, from: "b").response == .good)
        #expect(target.out(1, type: 8, key: 0xb, from: "b").response == .good)
        // UNIT ATTENTION: the others heard of the release.
        #expect(
            target.execute(cdb: CDB.reserveIn(1), dataOut: [], from: "a").response
                == .check(.reservationsReleased))
        // All Registrants: no key in particular.
        #expect(target.read(1).suffix(16) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0])
        let short = target.execute(
            cdb: CDB.reserveIn(0, allocationBytes: 10), dataOut: [], from: "a")
        #expect(short.response.data == [0, 0, 0, 3, 0, 0, 0, 24, 0, 0])
    }

    @Test func capabilitiesTellOfPersistence() {
        var target = ReservationTarget.registered()
        #expect(target.read(2) == [0, 8, 0x01, 0x80, 0xea, 0x01, 0, 0])
        #expect(target.out(6, key: 0, service: 1, flags: 1, from: "d").response == .good)
        #expect(target.read(2) == [0, 8, 0x01, 0x81, 0xea, 0x01, 0, 0])
        var without = ReservationTarget.registered(supportsPersistence: false)
        #expect(without.read(2)[2] == 0)
        #expect(
            without.out(6, key: 0, service: 1, flags: 1, from: "d").response
                == .check(.invalidFieldInParameters))
        #expect(without.keys["d"] == nil)
    }

    @Test func fullStatusNamesThePaths() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 3, key: 0xb, from: "b").response == .good)
        let data = target.read(3)
        #expect(data.bigEndian(at: 4, count: 4) == UInt64(data.count - 8))
        var offset = 8
        var seen: [(UInt64, UInt8, UInt8, String)] = []
        while offset < data.count {
            let length = Int(data.bigEndian(at: offset + 20, count: 4))
            let identity = data[(offset + 24)..<(offset + 24 + length)]
            #expect(identity.first == 0x05 && length % 4 == 0)
            let name = String(
                decoding: identity.dropFirst(4).prefix { $0 != 0 }, as: UTF8.self)
            seen.append(
                (
                    data.bigEndian(at: offset, count: 8), data[offset + 12], data[offset + 13],
                    name
                ))
            offset += 24 + length
        }
        #expect(seen.map(\.0) == [0xa, 0xb, 0xc])
        #expect(seen.map(\.1) == [0, 1, 0])
        #expect(seen.map(\.2) == [0, 3, 0])
        #expect(seen.map(\.3).allSatisfy { $0.hasPrefix("iqn.") })
    }

    @Test func aReservationHasOneTypeAndItsHolders() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 8, key: 1, from: "a").response == .conflict)
        #expect(target.out(1, type: 8, key: 0, from: "d").response == .conflict)
        for type in [0, 2, 4, 9, 15, 0x18] as [UInt8] {
            #expect(
                target.out(1, type: type, key: 0xa, from: "a").response
                    == .check(.invalidFieldInCDB))
        }
        #expect(target.out(1, type: 6, key: 0xa, from: "a").response == .good)
        #expect(target.out(1, type: 6, key: 0xa, from: "a").response == .good)
        #expect(target.out(1, type: 5, key: 0xa, from: "a").response == .conflict)
        #expect(target.out(1, type: 6, key: 0xb, from: "b").response == .conflict)
        // Not the holder's to release, and that is no error; a wrong type is.
        #expect(target.out(2, type: 6, key: 0xb, from: "b").response == .good)
        #expect(
            target.out(2, type: 5, key: 0xa, from: "a").response == .check(.invalidRelease))
        #expect(target.reservation != nil)
        #expect(target.out(2, type: 6, key: 0xa, from: "a").response == .good)
        #expect(target.reservation == nil && target.generation == 3)
    }

    /// SPC-4 tables 63 and 64: reader and writer, of the holder, a registrant, a stranger.
    @Test(
        arguments: [
            (1, "rw", "r", "r"), (3, "rw", "", ""), (5, "rw", "rw", "r"), (6, "rw", "rw", ""),
            (7, "rw", "rw", "r"), (8, "rw", "rw", ""),
        ] as [(UInt8, String, String, String)])
    func accessFollowsTheType(type: UInt8, holder: String, registrant: String, stranger: String) {
        var target = ReservationTarget.registered()
        #expect(target.allows(.read, from: "d") && target.allows(.write, from: "d"))
        #expect(target.out(1, type: type, key: 0xa, from: "a").response == .good)
        for (path, rights) in [("a", holder), ("b", registrant), ("d", stranger)] {
            #expect(target.allows(.read, from: path) == rights.contains("r"), "\(path)")
            #expect(target.allows(.write, from: path) == rights.contains("w"), "\(path)")
        }
    }

    @Test func oneOfAllRegistrantsGoesWithTheLast() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 8, key: 0xa, from: "a").response == .good)
        #expect(target.out(1, type: 8, key: 0xb, from: "b").response == .good)
        #expect(target.out(0, key: 0xa, service: 0, from: "a").response == .good)
        #expect(target.reservation != nil)
        #expect(!target.allows(.write, from: "a") && target.allows(.write, from: "b"))
        #expect(target.out(0, key: 0xb, service: 0, from: "b").response == .good)
        #expect(target.out(0, key: 0xc, service: 0, from: "c").response == .good)
        #expect(target.reservation == nil)
    }

    @Test func theHoldersEndReleasesAndTellsRegistrants() {
        for (type, isTold) in [(1, false), (6, true)] as [(UInt8, Bool)] {
            var target = ReservationTarget.registered()
            #expect(target.out(1, type: type, key: 0xa, from: "a").response == .good)
            #expect(target.out(0, key: 0xa, service: 0, from: "a").response == .good)
            #expect(target.reservation == nil)
            let ready = target.execute(cdb: [0, 0, 0, 0, 0, 0], dataOut: [], from: "b").response
            #expect(ready == (isTold ? .check(.reservationsReleased) : .good))
        }
    }

    @Test func clearTakesEverything() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 8, key: 0xa, from: "a").response == .good)
        #expect(target.out(3, key: 0xb, from: "b").response == .good)
        #expect(target.keys.isEmpty && target.reservation == nil && target.generation == 4)
        #expect(
            target.execute(cdb: CDB.reserveIn(0), dataOut: [], from: "a").response
                == .check(.reservationsPreempted))
        #expect(target.read(0) == [0, 0, 0, 4, 0, 0, 0, 0])
    }

    @Test func preemptOfAllRegistrantsLeavesTheReservation() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 8, key: 0xa, from: "a").response == .good)
        // Not registered, a wrong own key, an unknown victim.
        #expect(target.out(5, type: 8, key: 0, service: 0xa, from: "d").response == .conflict)
        #expect(target.out(5, type: 8, key: 1, service: 0xa, from: "b").response == .conflict)
        #expect(target.out(5, type: 8, key: 0xb, service: 9, from: "b").response == .conflict)
        let outcome = target.out(5, type: 8, key: 0xb, service: 0xa, from: "b")
        #expect(outcome.response == .good && outcome.abortedPaths == ["a"])
        #expect(target.keys == ["b": 0xb, "c": 0xc])
        #expect(target.reservation?.type == .exclusiveAccessAllRegistrants)
        #expect(!target.allows(.read, from: "a") && target.allows(.write, from: "c"))
        // The victim is told, once; the others hear nothing.
        #expect(
            target.execute(cdb: CDB.reserveIn(0), dataOut: [], from: "a").response
                == .check(.registrationsPreempted))
        #expect(target.read(0, from: "a").count == 24)
        #expect(target.read(0, from: "c").count == 24)
        // It comes back with a new key.
        #expect(target.out(6, key: 0, service: 0xaa, from: "a").response == .good)
        #expect(target.allows(.write, from: "a"))
    }

    @Test func keyZeroMeansEverybodyElse() {
        var target = ReservationTarget.registered()
        #expect(
            target.out(4, type: 8, key: 0xa, service: 0, from: "a").response
                == .check(.invalidFieldInParameters))
        #expect(target.out(1, type: 8, key: 0xb, from: "b").response == .good)
        let outcome = target.out(4, type: 1, key: 0xa, service: 0, from: "a")
        #expect(outcome.response == .good && outcome.abortedPaths.isEmpty)
        #expect(target.keys == ["a": 0xa])
        #expect(target.reservation == .init(type: .writeExclusive, maker: "a"))
    }

    @Test func preemptOfTheHolderTakesTheReservationOver() {
        var target = ReservationTarget.registered()
        #expect(target.out(1, type: 6, key: 0xa, from: "a").response == .good)
        #expect(target.out(4, type: 1, key: 0xb, service: 0xa, from: "b").response == .good)
        #expect(target.reservation == .init(type: .writeExclusive, maker: "b"))
        #expect(target.keys == ["b": 0xb, "c": 0xc])
        #expect(
            target.execute(cdb: [0, 0, 0, 0, 0, 0], dataOut: [], from: "c").response
                == .check(.reservationsReleased))
        // Someone else's registration only.
        #expect(target.out(4, type: 1, key: 0xb, service: 0xc, from: "b").response == .good)
        #expect(target.keys == ["b": 0xb] && target.reservation?.maker == "b")
        // Its own: the reservation's type changes.
        #expect(target.out(4, type: 3, key: 0xb, service: 0xb, from: "b").response == .good)
        #expect(target.keys == ["b": 0xb])
        #expect(target.reservation == .init(type: .exclusiveAccess, maker: "b"))
    }

    @Test func whatIsNotSupportedIsIllegal() {
        var target = ReservationTarget.registered()
        for action in [7, 8, 31] as [UInt8] {
            #expect(
                target.out(action, key: 0xa, from: "a").response == .check(.invalidFieldInCDB))
        }
        #expect(
            target.execute(cdb: CDB.reserveIn(4), dataOut: [], from: "a").response
                == .check(.invalidFieldInCDB))
        #expect(
            target.execute(cdb: CDB.reserveOut(0), dataOut: [0], from: "a").response
                == .check(.parameterListLength))
        var long = CDB.reserveOut(0)
        long[8] = 25
        #expect(
            target.execute(
                cdb: long, dataOut: [UInt8](repeating: 0, count: 25), from: "a"
            ).response == .check(.parameterListLength))
        #expect(
            target.out(6, key: 0, service: 1, flags: 0x08, from: "a").response
                == .check(.invalidFieldInParameters))
        for cdb in [[], [0x5e], [0x28] + [UInt8](repeating: 0, count: 9)] as [[UInt8]] {
            #expect(
                target.execute(cdb: cdb, dataOut: [], from: "a").response
                    == .check(.invalidOpcode))
        }
        let sense = SCSIResponse.check(.invalidFieldInCDB).sense
        #expect(sense == [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0])
    }

    @Test func inquiryIsADisk() {
        var target = ReservationTarget.registered()
        target.attend(.reservationsReleased, ["a"])
        func ask(_ page: UInt8?) -> SCSIResponse {
            target.execute(
                cdb: [0x12, page == nil ? 0 : 1, page ?? 0, 0, 255, 0], dataOut: [], from: "a"
            ).response
        }
        let standard = ask(nil).data
        #expect(standard.count == 36 && standard[0] == 0 && Int(standard[4]) + 5 == 36)
        #expect(String(decoding: standard[8..<16], as: UTF8.self) == "COVOLUME")
        #expect(ask(0).data == [0, 0, 0, 3, 0x00, 0x80, 0x83])
        for page in [0x80, 0x83] as [UInt8] {
            let data = ask(page).data
            #expect(data[1] == page && data.bigEndian(at: 2, count: 2) == UInt64(data.count - 4))
        }
        #expect(ask(0xb0) == .check(.invalidFieldInCDB))
        // It took no unit attention; this does.
        #expect(
            target.execute(cdb: [0, 0, 0, 0, 0, 0], dataOut: [], from: "a").response
                == .check(.reservationsReleased))
    }
}
