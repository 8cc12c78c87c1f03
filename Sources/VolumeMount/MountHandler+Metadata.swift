import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

/// Attributes and names that the coordinator granted (rule recall-before-change).
extension MountHandler {
    /// Asks the coordinator. What the operation changes is not shown from the cache meanwhile, and
    /// what its answer grants is taken.
    func ask(_ operation: VolumeProtocol.Operation, payload: ByteBuffer? = nil) async -> LinkAnswer
    {
        guard operation.concernsMetadata else {
            return await link.call(operation, payload: payload)
        }
        let request = state.withLock { $0.filter.metadata.begin(operation) }
        let answer = await link.call(operation, payload: payload)
        state.withLock {
            $0.filter.metadata.end(request, operation, answer.result, answer.grant)
        }
        return answer
    }

    /// The same without a task; `completion` runs on the thread that brings the answer.
    func ask(
        _ operation: VolumeProtocol.Operation, payload: ByteBuffer? = nil,
        completion: @escaping @Sendable (LinkAnswer) -> Void
    ) {
        guard operation.concernsMetadata else {
            return link.call(operation, payload: payload, completion: completion)
        }
        let request = state.withLock { $0.filter.metadata.begin(operation) }
        link.call(operation, payload: payload) { [self] answer in
            state.withLock {
                $0.filter.metadata.end(request, operation, answer.result, answer.grant)
            }
            completion(answer)
        }
    }

    func recallMetadata(_ file: FileHandle) {
        statistics.metadataRecalls.add(1, ordering: .relaxed)
        state.withLock { $0.filter.metadata.recall(file) }
    }

    /// Answers a look-up or a question for attributes at once, on the worker's own thread. False: the
    /// coordinator has to be asked.
    func answerFromCache(
        _ request: FUSERequest, _ handle: FileHandle, _ reply: FUSEReplyPort
    ) -> Bool {
        let now = MonotonicClock.nowNanoseconds
        switch request {
        case .lookup(let name):
            let place = NameInDirectory(parent: handle, name: name)
            switch state.withLock({ $0.filter.cachedEntry(place, nowNanoseconds: now) }) {
            case .entry(let file):
                let entry = entry(file)
                if !reply.entry(entry) { nodes.forget(entry.nodeID, count: 1) }
            case .absent:
                reply.error(.noEntry)
            case nil:
                return false
            }
        case .getattr:
            let cached = state.withLock {
                $0.filter.cachedAttributes(handle, nowNanoseconds: now)
            }
            guard let cached else { return false }
            reply.attributes(cached)
        default:
            return false
        }
        return true
    }
}

extension VolumeProtocol.Operation {
    fileprivate var concernsMetadata: Bool { showsMetadata || !changedMetadata.isEmpty }
}
