import Testing

@testable import Fencing

/// The whole fence, against what LIO answered to it through SG_IO: it has APTPL and PREEMPT AND ABORT.
@Suite struct RecordedLIOTests {
    private let key1 = ReservationKey(0x1111_2222_3333_4444)!
    private let key2 = ReservationKey(0x5555_6666_7777_8888)!
    private let key3 = ReservationKey(0x5555_6666_7777_999a)!

    @Test func fence() throws {
        let target = try Transcript("lio-fence")
        let (node1, node2) = (target.reservations("node1"), target.reservations("node2"))
        let first = VolumeReservations(paths: [node1])
        let second = VolumeReservations(paths: [node2])
        try first.check()
        #expect(try node1.register(key1) == .init(isPersistent: true, problem: nil))
        try node1.reserve(key1)
        #expect(try node2.register(key2).isPersistent)
        try node2.reserve(key2)
        #expect(
            try node2.readKeys(firstAllocationBytes: 16)
                == RegisteredKeys(generation: 2, keys: [key1, key2]))
        try node1.checkPreemptAndAbort(
            own: key1, nobody: ReservationKey(0xdead_dead_dead_dead)!)

        let proven = first.fence.fence(victims: [key2], own: key1)
        #expect(
            proven == .proven("\(key2) preempted and aborted; keys read back"), "\(proven)")
        // Two writes and a read of the fenced path.
        let attention = try SenseData(target.passNext().sense)
        #expect(attention.description.contains("registrations preempted"))
        #expect(target.passNext().status == SCSIResponse.reservationConflict)
        #expect(target.passNext().status == SCSIResponse.reservationConflict)
        let back = second.fence.fence(victims: [key1], own: key2)
        guard case .selfFenced = back else {
            Issue.record("\(back)")
            return
        }
        #expect(first.fence.fence(victims: [key2], own: key1).isProven)

        #expect(try node2.register(key3).isPersistent)
        try second.detach(key3)
        try second.detach(key3)
        try first.detach(key1)
        #expect(try node1.readKeys() == RegisteredKeys(generation: 4, keys: []))
        #expect(try node1.readReservation() == nil)
        #expect(target.isAtEnd)
    }
}
