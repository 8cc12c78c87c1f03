import Testing

@testable import Fencing

/// Our commands and our reading of the answers, against what a real target (tgt) answered.
@Suite struct RecordedTargetTests {
    private let key1 = ReservationKey(0x1111_2222_3333_4444)!
    private let key2 = ReservationKey(0x5555_6666_7777_8888)!

    @Test func attachesTwoNodes() throws {
        let target = try Transcript("tgt-attach")
        let (node1, node2) = (target.reservations("node1"), target.reservations("node2"))
        try VolumeReservations(paths: [node1]).check()
        #expect(try !node1.register(key1).isPersistent)
        try node1.reserve(key1)
        let registration = try node2.register(key2)
        #expect(!registration.isPersistent)
        #expect(registration.problem?.contains("loss of power") == true)
        // A second reservation of the same type by another registrant is none.
        try node2.reserve(key2)
        #expect(try node2.readKeys() == RegisteredKeys(generation: 2, keys: [key1, key2]))
        let reservation = try node2.readReservation()
        #expect(reservation == .init(holder: 0, kind: .exclusiveAccessAllRegistrants))
        let error = #expect(throws: FenceError.self) {
            try node2.checkPreemptAndAbort(
                own: key2, nobody: ReservationKey(0xdead_dead_dead_dead)!)
        }
        guard case .unsupported(let text)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("PREEMPT AND ABORT"))
        #expect(target.isAtEnd)
    }

    @Test func readsCapabilities() throws {
        let target = try Transcript("tgt-attach")
        let capabilities = try target.reservations("node1").readCapabilities()
        #expect(!capabilities.canPersist && !capabilities.isPersistent)
        #expect(capabilities.kinds == Set(PersistentReservation.Kind.allCases))
    }

    @Test func asksAgainWhenNotAllKeysCame() throws {
        let target = try Transcript("tgt-truncated")
        for _ in 1...4 { _ = target.passNext() }
        let keys = try target.reservations("node1").readKeys(firstAllocationBytes: 16)
        #expect(keys.keys == [key1, key2])
        #expect(target.isAtEnd)
    }

    @Test func withoutAbortNothingIsProven() throws {
        let target = try Transcript("tgt-fence")
        for _ in 1...5 { _ = target.passNext() }
        let fence = ReservationFence(paths: [target.reservations("node1")])
        let outcome = fence.fence(victims: [key2], own: key1)
        guard case .notProven(let text) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(text.contains("illegal request"))
        #expect(target.isAtEnd)
    }

    @Test func preemptedPathIsFencedAndRegistersAnew() throws {
        let target = try Transcript("tgt-preempt")
        let (node1, node2) = (target.reservations("node1"), target.reservations("node2"))
        for _ in 1...5 { _ = target.passNext() }
        try node1.preempt(own: key1, victim: key2)
        #expect(try node1.readKeys() == RegisteredKeys(generation: 3, keys: [key1]))
        #expect(try node1.readReservation()?.kind == .exclusiveAccessAllRegistrants)

        // The first write meets the unit attention that tells of it, the next ones the reservation.
        let attention = try SenseData(target.passNext().sense)
        #expect(attention.isUnitAttention)
        #expect(attention.description.contains("reservations preempted"))
        #expect(target.passNext().status == SCSIResponse.reservationConflict)
        #expect(target.passNext().status == SCSIResponse.reservationConflict)
        #expect(throws: FenceError.reservationConflict) {
            try node2.preempt(own: key2, victim: key1)
        }
        _ = target.passNext()
        #expect(throws: FenceError.reservationConflict) { try node2.reserve(key2) }
        #expect(throws: FenceError.reservationConflict) {
            try node1.preempt(own: key1, victim: key2)
        }

        let key3 = ReservationKey(0x5555_6666_7777_999a)!
        #expect(try !node2.register(key3).isPersistent)
        try node2.unregister(key3)
        // Once more: it is gone, which is what was asked for.
        try node2.unregister(key3)
        try node1.unregister(key1)
        #expect(try node1.readReservation() == nil)
        #expect(try node1.readKeys() == RegisteredKeys(generation: 7, keys: []))
        #expect(target.isAtEnd)
    }

    @Test func anotherClustersReservationIsNamed() throws {
        let target = try Transcript("tgt-foreign")
        for _ in 1...3 { _ = target.passNext() }
        let node1 = target.reservations("node1")
        _ = target.passNext()
        _ = target.passNext()
        let error = #expect(throws: FenceError.self) { try node1.reserve(key1) }
        guard case .reservedByOthers(let text)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("Write Exclusive – Registrants Only"))
        #expect(target.isAtEnd)
    }
}
