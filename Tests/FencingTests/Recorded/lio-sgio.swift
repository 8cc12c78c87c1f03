// What record-lio runs in its guest: our calls, through SG_IO, printed as a transcript.
import Glibc

@testable import Fencing

/// Passes commands on and prints them, and their answers, as the transcripts have them.
struct Recorder: SCSITransport {
    let name: String
    let inner: SGIOTransport

    func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        print("\(name) > \(hexadecimal(cdb))\(dataOut.isEmpty ? "" : " " + hexadecimal(dataOut))")
        let answer = try inner.execute(cdb: cdb, dataOut: dataOut, dataInMaximum: dataInMaximum)
        print(
            "\(name) < \(hexadecimal([answer.status])) sense=\(hexadecimal(answer.sense)) "
                + "data=\(hexadecimal(answer.data))")
        return answer
    }
}

func attempt<T>(_ what: String, _ body: () throws -> T) {
    print("# \(what)")
    do { _ = try body() } catch { print("# threw \(error)") }
}

let node1 = PersistentReservations(
    Recorder(name: "node1", inner: try SGIOTransport(device: CommandLine.arguments[1])))
let node2 = PersistentReservations(
    Recorder(name: "node2", inner: try SGIOTransport(device: CommandLine.arguments[2])))
let key1 = ReservationKey(0x1111_2222_3333_4444)!
let key2 = ReservationKey(0x5555_6666_7777_8888)!
let key3 = ReservationKey(0x5555_6666_7777_999a)!
let nobody = ReservationKey(0xdead_dead_dead_dead)!
let (first, second) = (VolumeReservations(paths: [node1]), VolumeReservations(paths: [node2]))
let (write10, read10): ([UInt8], [UInt8]) = (
    [0x2a] + [UInt8](repeating: 0, count: 9), [0x28] + [UInt8](repeating: 0, count: 9)
)
attempt("check") { try first.check() }
attempt("register") { try node1.register(key1) }
attempt("reserve") { try node1.reserve(key1) }
attempt("register") { try node2.register(key2) }
attempt("reserve") { try node2.reserve(key2) }
attempt("readKeys") { try node2.readKeys(firstAllocationBytes: 16) }
attempt("checkPreemptAndAbort") { try node1.checkPreemptAndAbort(own: key1, nobody: nobody) }
attempt("fence") { first.fence.fence(victims: [key2], own: key1) }
for command in [write10, write10, read10] {
    attempt("write, write, read") {
        try node2.transport.execute(cdb: command, dataOut: [], dataInMaximum: 0).status
    }
}
attempt("fence back") { second.fence.fence(victims: [key1], own: key2) }
attempt("fence again") { first.fence.fence(victims: [key2], own: key1) }
attempt("register") { try node2.register(key3) }
attempt("detach") { try second.detach(key3) }
attempt("detach once more") { try second.detach(key3) }
attempt("detach") { try first.detach(key1) }
attempt("readKeys") { try node1.readKeys() }
attempt("readReservation") { try node1.readReservation() as Any }
