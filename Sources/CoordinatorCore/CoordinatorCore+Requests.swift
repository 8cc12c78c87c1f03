import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// A request as it came.
    struct Request: Sendable {
        var session: NodeIdentity
        var sequence: UInt64
        var slot: UInt16
        var operation: Operation
        var payloadBytes: Int
    }

    /// Takes a request, unless it is under way already: then it is answered once.
    mutating func take(_ request: Request, _ actions: inout [CoordinatorAction]) {
        var request = request
        if !request.operation.needsSlot { request.slot = Operation.noSlot }
        let session = request.session
        guard sessions.contains(session) else {
            refuse(session, request.sequence, .noSession, &actions)
            return
        }
        if isOfEndedLife(request) {
            // Whether it was done is forgotten; its life is over, and with it who waited for it.
            reply(session, request.sequence, .failed(.inputOutput), &actions)
            return
        }
        if unanswered[session]?[request.sequence] != nil { return }
        guard !isDraining else {
            refuse(session, request.sequence, .notCoordinator, &actions)
            return
        }
        guard unanswered[session]?.count ?? 0 < Limits.requestsPerSessionMaximum else {
            refuse(session, request.sequence, .tooManyRequests, &actions)
            return
        }
        unanswered[session, default: [:]][request.sequence] = request.slot
        lastSequences[session] = max(lastSequences[session] ?? 0, request.sequence)
        if grace != nil, !request.operation.belongsToGrace {
            grace?.held.append(request)
        } else {
            begin(request, &actions)
        }
    }

    /// A node that comes back numbers on: what begins its new life is above all of the life before.
    private mutating func isOfEndedLife(_ request: Request) -> Bool {
        let session = request.session
        guard rules.contains(.once), let last = endedSequences[session] else { return false }
        if request.operation == .reclaimed, request.sequence > last,
            returning.remove(session) != nil
        {
            endedSequences[session] = request.sequence
            return false
        }
        return request.slot != Operation.noSlot
            && (returning.contains(session) || request.sequence <= last)
    }

    /// Starts a request, or answers it again where it was done before.
    mutating func begin(_ request: Request, _ actions: inout [CoordinatorAction]) {
        guard sessions.contains(request.session) else { return }
        if request.slot != Operation.noSlot, rules.contains(.once) {
            guard takesSlot(request, &actions) else { return }
        }
        let task = CoordinatorTask(
            .request(request.session, sequence: request.sequence, request.operation),
            payloadBytes: request.payloadBytes)
        submit(task, request.session, request.sequence, request.operation, &actions)
    }

    /// Answers a request, and keeps the answer where it may be asked for again.
    mutating func reply(
        _ session: NodeIdentity, _ sequence: UInt64, _ result: OperationResult,
        granting grant: MetadataGrant = [], _ actions: inout [CoordinatorAction]
    ) {
        if let slot = unanswered[session]?.removeValue(forKey: sequence),
            slots[session]?[slot]?.sequence == sequence
        {
            slots[session]?[slot]?.state = .answered(result)
        }
        actions.append(.reply(session, sequence: sequence, result, grant))
    }

    mutating func refuse(
        _ session: NodeIdentity, _ sequence: UInt64, _ refusal: Refusal,
        _ actions: inout [CoordinatorAction]
    ) {
        unanswered[session]?[sequence] = nil
        actions.append(.refuse(session, sequence: sequence, refusal))
    }
}
