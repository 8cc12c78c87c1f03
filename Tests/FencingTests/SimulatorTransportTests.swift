import Foundation
import Synchronization
import Testing

@testable import Fencing

@Suite struct SimulatorTransportTests {
    private let directory = TemporaryDirectory()
    private var socket: String { "\(directory.path)/lun.sock" }

    private func path(_ name: String, timeoutSeconds: Double = 5) -> PersistentReservations {
        PersistentReservations(
            SimulatorTransport(socket: socket, path: name, timeoutSeconds: timeoutSeconds))
    }

    @Test func fencesOverTheSocket() throws {
        let target = ModelTarget()
        let server = SocketTarget(socket, target: target)
        defer { withExtendedLifetime(server) {} }
        let (own, victim) = (ReservationKey(0xa)!, ReservationKey(0xb)!)
        let reservations = VolumeReservations(paths: [path("node1")])
        #expect(try reservations.attach(own).fenceProblem == nil)
        _ = try VolumeReservations(paths: [path("node2")]).attach(victim)
        #expect(try path("node1").readKeys().keys == [own, victim])
        #expect(reservations.fence.fence(victims: [victim], own: own).isProven)
        #expect(throws: FenceError.reservationConflict) { try path("node2").reserve(victim) }
    }

    @Test func answerOfManyKeys() throws {
        let target = ModelTarget()
        target.state.withLock { state in
            for number in 1...500 { state.keys["path\(number)"] = UInt64(number) }
        }
        let server = SocketTarget(socket, target: target)
        defer { withExtendedLifetime(server) {} }
        #expect(try path("node1").readKeys().keys.count == 500)
    }

    @Test(arguments: [
        "no json\n", "{}\n", #"{"status":256}"# + "\n", #"{"status":0,"data":"0"}"# + "\n",
        #"{"status":0,"data":"+1"}"# + "\n", #"{"status":2,"sense":""}"# + "\n", "",
        #"{"error":"no path node1"}"# + "\n",
    ])
    func badAnswersAreErrors(_ answer: String) {
        let server = SocketTarget(socket) { _ in answer }
        defer { withExtendedLifetime(server) {} }
        #expect(throws: FenceError.self) { try path("node1").readKeys() }
    }

    @Test func silenceEnds() throws {
        let release = Mutex(false)
        let server = SocketTarget(socket) { _ in
            while !release.withLock({ $0 }) { usleep(10_000) }
            return nil
        }
        defer {
            release.withLock { $0 = true }
            withExtendedLifetime(server) {}
        }
        let start = BootClock.nowSeconds
        let error = #expect(throws: FenceError.self) {
            try path("node1", timeoutSeconds: 0.2).readKeys()
        }
        guard case .timedOut? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(BootClock.nowSeconds - start < 5)
    }

    @Test func nobodyThere() {
        #expect(throws: FenceError.self) { try path("node1").readKeys() }
    }
}
