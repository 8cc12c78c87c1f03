import Testing

@testable import Fencing

@Suite struct ReservationFenceTests {
    private let target = ModelTarget()
    private let own = ReservationKey(0xa)!
    private let victim = ReservationKey(0xb)!

    /// Both attached; the victim by two paths.
    private func attached() throws -> ReservationFence {
        let reservations = VolumeReservations(paths: [target.path("node1")])
        #expect(try reservations.attach(own) == .init(warnings: [], fenceProblem: nil))
        _ = try VolumeReservations(paths: [target.path("node2a"), target.path("node2b")])
            .attach(victim)
        return reservations.fence
    }

    @Test func provenMeansGoneOnEveryPath() throws {
        let fence = try attached()
        let outcome = fence.fence(victims: [victim], own: own)
        #expect(outcome.isProven, "\(outcome)")
        target.state.withLock { state in
            #expect(state.keys == ["node1": own.number])
            #expect(state.aborted == [victim.number])
        }
        #expect(throws: FenceError.reservationConflict) {
            try target.path("node2a").reserve(victim)
        }
        // Once more, and nobody at all: nothing is left to take away.
        #expect(fence.fence(victims: [victim], own: own).isProven)
        #expect(fence.fence(victims: [], own: own).isProven)
    }

    /// Paths of a multipath device: the dead ones are left out, and looked at again later.
    @Test func aDeadPathIsLeftOut() throws {
        let dead = FenceError.transport("no answer")
        let found = try VolumeReservations.ofDevices(["a", "b", "c"]) { name throws(FenceError) in
            if name == "a" { throw dead }
            if name == "b" { target.state.withLock { $0.before["b"] = [.failure(dead)] } }
            return target.path(name)
        }
        #expect(found.paths.map(\.name) == ["c"])
        _ = try found.attach(own)
        let again = try VolumeReservations.ofDevices(["a", "c"]) { target.path($0) }
        #expect(try !again.isRegistered(own))
        _ = try again.attach(own)
        #expect(try again.isRegistered(own))
        #expect(throws: dead) {
            try VolumeReservations.ofDevices(["a"]) { _ throws(FenceError) in throw dead }
        }
        // One that cannot do it at all is no dead path.
        let unable = FenceError.unsupported("no SCSI")
        #expect(throws: unable) {
            try VolumeReservations.ofDevices(["a", "c"]) { name throws(FenceError) in
                if name == "a" { throw unable }
                return target.path(name)
            }
        }
    }

    @Test func whoIsFencedCannotFence() throws {
        let fence = try attached()
        try target.path("node2a").preemptAndAbort(own: victim, victim: own)
        let outcome = fence.fence(victims: [victim], own: own)
        guard case .selfFenced = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(!outcome.isProven)
        #expect(target.state.withLock { $0.keys.values.contains(victim.number) })
    }

    @Test func withoutItsReservationTheLUNKeepsNobodyOut() throws {
        let fence = try attached()
        target.state.withLock { state in
            state.isReserved = false
            state.keys["node2a"] = nil
            state.keys["node2b"] = nil
        }
        let outcome = fence.fence(victims: [victim], own: own)
        guard case .notProven(let text) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(text.contains("not reserved"))
    }

    @Test func reservesAnewBeforeItAborts() throws {
        let fence = try attached()
        target.state.withLock { $0.isReserved = false }
        #expect(fence.fence(victims: [victim], own: own).isProven)
        #expect(target.state.withLock { $0.isReserved && $0.aborted == [victim.number] })
    }

    @Test func attentionAndBusyAreRetried() throws {
        let fence = try attached()
        target.state.withLock { state in
            state.before["node1"] = [
                .success(unitAttention), .success(unitAttention),
                .success(SCSIResponse(status: SCSIResponse.busy)),
                .success(SCSIResponse(status: SCSIResponse.taskSetFull)),
            ]
        }
        #expect(fence.fence(victims: [victim], own: own).isProven)
    }

    @Test func endlessBusyIsAnError() throws {
        let path = target.path("node1")
        target.state.withLock { state in
            state.before["node1"] = Array(
                repeating: .success(SCSIResponse(status: SCSIResponse.busy)), count: 100)
        }
        #expect(throws: FenceError.status(SCSIResponse.busy)) { try path.readKeys() }
        let tried = target.state.withLock { 100 - $0.before["node1"]!.count }
        #expect(tried == FencingLimits.commandAttemptsMaximum)
    }

    @Test func failedPathProvesNothing() throws {
        let fence = try attached()
        target.state.withLock { $0.before["node1"] = [.failure(.transport("cut"))] }
        let outcome = fence.fence(victims: [victim], own: own)
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("cut"))
    }

    @Test func secondPathIsTried() throws {
        _ = try attached()
        let second = target.path("node1b")
        _ = try second.register(own)
        let fence = ReservationFence(paths: [target.path("node1"), second])
        target.state.withLock { $0.before["node1"] = [.failure(.timedOut("silence"))] }
        #expect(fence.fence(victims: [victim], own: own).isProven)
    }

    @Test func nodeThatRegistersAgainIsNotFenced() throws {
        let fence = try attached()
        target.state.withLock { $0.stubborn[victim.number] = "node2a" }
        let outcome = fence.fence(victims: [victim], own: own)
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("register anew"))
    }

    @Test func silentlyIgnoredPersistenceIsTold() throws {
        target.state.withLock { $0.isPersistent = false }
        let registration = try target.path("node1").register(own)
        #expect(!registration.isPersistent)
        #expect(registration.problem?.contains("activated") == true)
    }

    @Test func detachTakesEveryPath() throws {
        _ = try attached()
        let reservations = VolumeReservations(paths: [
            target.path("node2a"), target.path("node2b"),
        ])
        try reservations.detach(victim)
        #expect(target.state.withLock { $0.keys == ["node1": own.number] })
        // Fenced meanwhile: nothing to end.
        try reservations.detach(victim)
    }
}
