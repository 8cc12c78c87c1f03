import Synchronization

@testable import Fencing

/// A small target: registrations of paths, one reservation of type 8, and faults that tests set.
final class ModelTarget: Sendable {
    struct State {
        var keys: [String: UInt64] = [:]
        var isReserved = false
        var generation: UInt32 = 0
        /// Preempted and aborted, in order.
        var aborted: [UInt64] = []
        /// Answers that come before the next command of the path is looked at.
        var before: [String: [Result<SCSIResponse, FenceError>]] = [:]
        /// Keys whose nodes register anew, on their path, whenever they were preempted.
        var stubborn: [UInt64: String] = [:]
        var isPersistent = true
    }

    let state = Mutex(State())

    func path(_ name: String) -> PersistentReservations {
        PersistentReservations(ModelPath(name: name, target: self)) { _ in }
    }

    func answer(
        path: String, cdb: [UInt8], dataOut: [UInt8]
    ) throws(FenceError) -> SCSIResponse {
        try state.withLock { state throws(FenceError) in
            if let fault = state.before[path]?.first {
                state.before[path]?.removeFirst()
                switch fault {
                case .success(let answer): return answer
                case .failure(let error): throw error
                }
            }
            return cdb[0] == 0x5e
                ? ModelTarget.read(state, action: cdb[1])
                : ModelTarget.write(&state, path: path, action: cdb[1], parameters: dataOut)
        }
    }

    private static func read(_ state: State, action: UInt8) -> SCSIResponse {
        let generation = BigEndian.bytes(state.generation)
        switch action {
        case 0:
            let keys = state.keys.sorted { $0.key < $1.key }.flatMap { BigEndian.bytes($0.value) }
            return SCSIResponse(
                status: 0, data: generation + BigEndian.bytes(UInt32(keys.count)) + keys)
        case 1 where state.isReserved:
            let head = generation + BigEndian.bytes(UInt32(16)) + BigEndian.bytes(UInt64(0))
            return SCSIResponse(status: 0, data: head + [0, 0, 0, 0, 0, 0x08, 0, 0])
        case 1: return SCSIResponse(status: 0, data: generation + [0, 0, 0, 0])
        default:
            return SCSIResponse(
                status: 0, data: [0, 8, 1, state.isPersistent ? 0x81 : 0x80, 0xea, 1, 0, 0])
        }
    }

    private static func write(
        _ state: inout State, path: String, action: UInt8, parameters: [UInt8]
    ) -> SCSIResponse {
        let key = BigEndian.number(parameters[0..<8])
        let actionKey = BigEndian.number(parameters[8..<16])
        let conflict = SCSIResponse(status: SCSIResponse.reservationConflict)
        if action != 6, state.keys[path] != key { return conflict }
        state.generation &+= 1
        switch action {
        case 0 where actionKey == 0: state.keys[path] = nil
        case 0, 6: state.keys[path] = actionKey
        case 1: state.isReserved = true
        default:
            guard state.keys.values.contains(actionKey) else { return conflict }
            state.keys = state.keys.filter { $0.value != actionKey }
            if action == 5 { state.aborted.append(actionKey) }
            if let again = state.stubborn[actionKey] { state.keys[again] = actionKey }
        }
        return SCSIResponse(status: 0)
    }
}

private struct ModelPath: SCSITransport {
    let name: String
    let target: ModelTarget

    func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        var answer = try target.answer(path: name, cdb: cdb, dataOut: dataOut)
        answer.data = Array(answer.data.prefix(dataInMaximum))
        return answer
    }
}

let unitAttention = SCSIResponse(
    status: SCSIResponse.checkCondition, sense: bytes("700006000000000a000000002a0500000000"))
