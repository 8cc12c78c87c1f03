import VolumeModel

/// One machine on one node: when its copy here is started, received, sent, run and ended. A state
/// machine without process, store or clock.
///
/// Rule machine-once: the processors of a copy run only after this node has put a record into the store
/// that makes it the owner under the copy's epoch, and nobody was between. Who loses that race ends its
/// copy. A copy whose processors stand still may be there twice; one that runs may not.
///
/// It is driven by the level of the record: every event looks at what is, and starts what is missing.
public struct MachineHost: Sendable {
    /// The copy on this node, with the epoch that it is for.
    public enum Copy: Hashable, Sendable {
        case none
        /// It is being started, with its processors standing still.
        case launching(UInt64)
        /// It takes a stream.
        case receiving(UInt64)
        /// All is there; its processors stand still.
        case ready(UInt64)
        case running(UInt64)
        /// It runs, and is being sent.
        case sending(UInt64)
        /// The target has all of it; the processors here stand still until the record says whose it is.
        case sent(UInt64)
        /// Its processors stand still, and nothing of it is elsewhere.
        case standing(UInt64)
        case saving(UInt64)
        /// The state is on the volume; the copy goes.
        case saved(UInt64)
        case stopping(UInt64)
        /// It is not wanted any more.
        case ending

        public var epoch: UInt64? {
            switch self {
            case .none, .ending: nil
            case .launching(let epoch), .receiving(let epoch), .ready(let epoch),
                .running(let epoch), .sending(let epoch), .sent(let epoch), .standing(let epoch),
                .saving(let epoch), .saved(let epoch), .stopping(let epoch):
                epoch
            }
        }
    }

    /// What a write is for.
    enum Writing: Hashable, Sendable {
        case run(UInt64)
        case other
    }

    public let me: String
    let rules: SafetyRules
    public private(set) var copy = Copy.none
    private var record: MachineRecord?
    private var writing: Writing?
    private var isLeaseValid = false
    /// What is there from an earlier life of the daemon has been looked for.
    private var isLookedAfter = false
    private var isCancelling = false
    private var isPaused = false
    private var stop: MachineRecord.Stop?
    /// Why the last copy ended, for the record.
    private var endReason: String?
    private var isGuestsWish = false
    /// The migration whose stream the copy takes, or took; nil: it was started here.
    private var received: UInt64?

    public init(me: String, rules: SafetyRules = .all) {
        self.me = me
        self.rules = rules
    }

    /// Takes an event and appends what is to be done.
    public mutating func handle(
        _ event: MachineHostEvent, timeSeconds: Double, into actions: inout [MachineHostAction]
    ) {
        note(event, &actions)
        guard isLookedAfter else { return }
        lookAfter(timeSeconds, &actions)
    }

    private mutating func note(_ event: MachineHostEvent, _ actions: inout [MachineHostAction]) {
        switch event {
        case .record(let record): self.record = record
        case .lease(let isValid): isLeaseValid = isValid
        case .found(let found):
            isLookedAfter = true
            switch found {
            case nil: break
            case .running(let epoch): copy = .running(epoch)
            case .standing(let epoch): copy = .standing(epoch)
            case .sent(let epoch): copy = .sent(epoch)
            case .useless: end(&actions)
            }
        case .launched(let epoch) where copy == .launching(epoch): copy = .ready(epoch)
        case .arrived(let epoch) where copy == .receiving(epoch): copy = .ready(epoch)
        case .sent(let epoch, let outcome) where copy == .sending(epoch):
            isCancelling = false
            switch outcome {
            case .completed: copy = .sent(epoch)
            case .failed(let reason):
                copy = .running(epoch)
                endReason = reason
            }
        case .saved(let epoch, let failure) where copy == .saving(epoch):
            if let failure {
                copy = .standing(epoch)
                endReason = failure
            } else {
                copy = .saved(epoch)
                actions.append(.kill)
            }
        case .exited(let reason, let isGuestsWish):
            exited(reason, isGuestsWish)
        case .wrote(let succeeded):
            let purpose = writing
            writing = nil
            if case .run(let epoch) = purpose { decided(epoch, succeeded, &actions) }
        case .launched, .arrived, .sent, .saved: break
        }
    }

    private mutating func exited(_ reason: String, _ isGuestsWish: Bool) {
        let was = copy
        copy = .none
        isCancelling = false
        isPaused = false
        stop = nil
        if case .saved(let epoch) = was {
            // Kept until the record says what became of the state.
            savedEpoch = epoch
            return
        }
        self.isGuestsWish = isGuestsWish
        if was != .ending { endReason = reason }
    }

    private var savedEpoch: UInt64?

    /// The record that lets a copy run was written, or was not.
    private mutating func decided(
        _ epoch: UInt64, _ succeeded: Bool, _ actions: inout [MachineHostAction]
    ) {
        guard succeeded || !rules.contains(.machineOnce), isLeaseValid else { return }
        switch copy {
        case .ready(epoch), .standing(epoch):
            copy = .running(epoch)
            isPaused = false
            actions.append(.resume(epoch))
        default: break
        }
    }

    // MARK: What the record wants

    private mutating func lookAfter(_ now: Double, _ actions: inout [MachineHostAction]) {
        // Nothing is decided by a record that is being changed from here.
        guard writing == nil else { return }
        guard let record else {
            if copy != .none { end(&actions) }
            return
        }
        let isMine = record.owner == me
        switch copy {
        case .none: startWhatIsMissing(record, isMine, now, &actions)
        case .launching(let epoch), .running(let epoch), .sending(let epoch), .saving(let epoch),
            .stopping(let epoch):
            guard isMine, record.epoch == epoch else { return end(&actions) }
            lookAfterOwn(record, epoch, &actions)
        case .ready(let epoch):
            if isMine, record.epoch == epoch {
                let isCurrent = received == nil || received == record.handedOver
                switch record.phase {
                case .starting where isCurrent, .running where isCurrent:
                    run(record, epoch, &actions)
                default: end(&actions)
                }
            } else if !isTarget(of: record, for: epoch) {
                end(&actions)
            }
        case .receiving(let epoch):
            // It may be this node's before the end of its own stream was noticed here.
            let isHandedOver =
                isMine && record.phase == .starting && record.epoch == epoch
                && record.handedOver == received
            if !isTarget(of: record, for: epoch), !isHandedOver { end(&actions) }
        case .sent(let epoch):
            guard isMine, record.epoch == epoch else { return end(&actions) }
            if record.phase == .migrating, !record.isCancelled, let target = record.target {
                var next = record
                next.assign(to: target)
                next.handedOver = record.migration
                write(next, after: record, for: .other, &actions)
            } else {
                // Nobody can take it over any more.
                copy = .standing(epoch)
                stand(record, epoch, &actions)
            }
        case .standing(let epoch):
            guard isMine, record.epoch == epoch else { return end(&actions) }
            stand(record, epoch, &actions)
        case .saved, .ending: break
        }
    }

    /// Of a copy whose processors stand still, and that may run on.
    private mutating func stand(
        _ record: MachineRecord, _ epoch: UInt64, _ actions: inout [MachineHostAction]
    ) {
        switch record.phase {
        case .running, .starting, .migrating, .saving: run(record, epoch, &actions)
        case .stopping:
            copy = .stopping(epoch)
            order(.powerOff, &actions)
        case .stopped, .waiting, .saved, .failed: end(&actions)
        }
    }

    private func isTarget(of record: MachineRecord, for epoch: UInt64) -> Bool {
        record.phase == .migrating && record.target == me && record.epoch + 1 == epoch
            && !record.isCancelled && record.migration == received
    }

    private mutating func startWhatIsMissing(
        _ record: MachineRecord, _ isMine: Bool, _ now: Double,
        _ actions: inout [MachineHostAction]
    ) {
        guard isMine else {
            savedEpoch = nil
            // A copy that failed here is not received once more: the target gives the migration up.
            if record.phase == .migrating, record.target == me, !record.isCancelled {
                if let reason = endReason {
                    endReason = nil
                    var next = record
                    next.phase = .running
                    next.target = nil
                    next.arrival = nil
                    next.reason = "\(me) could not receive it: \(reason)"
                    write(next, after: record, for: .other, &actions)
                } else if isLeaseValid, record.arrival == nil {
                    copy = .receiving(record.epoch + 1)
                    received = record.migration
                    actions.append(.receive(record.epoch + 1))
                }
            } else {
                endReason = nil
            }
            return
        }
        var next = record
        let reason = endReason ?? "its QEMU is gone"
        switch record.phase {
        case .starting:
            if let reason = endReason {
                next.fail(on: me, timeSeconds: now, reason: reason)
            } else if isLeaseValid {
                copy = .launching(record.epoch)
                received = nil
                return actions.append(.launch(record.epoch, isRestoring: record.isRestoring))
            } else {
                return
            }
        case .saving where savedEpoch == record.epoch:
            if let target = record.target {
                next.assign(to: target)
            } else {
                next.off(.saved)
            }
            next.isRestoring = true
        case .running, .migrating, .saving:
            if isGuestsWish {
                next.off(.stopped)
                next.reason = "the guest shut down"
            } else {
                next.fail(on: me, timeSeconds: now, reason: reason)
            }
        case .stopping: next.off(.stopped)
        case .stopped, .waiting, .saved, .failed: return
        }
        endReason = nil
        isGuestsWish = false
        write(next, after: record, for: .other, &actions)
    }

    /// Of a copy that runs, or is about to, under the record's epoch.
    private mutating func lookAfterOwn(
        _ record: MachineRecord, _ epoch: UInt64, _ actions: inout [MachineHostAction]
    ) {
        switch (copy, record.phase) {
        case (.running, .running):
            endReason = nil
            guard record.isPaused != isPaused else { return }
            isPaused = record.isPaused
            actions.append(.pause(isPaused))
        case (.running, .migrating):
            if endReason != nil || record.isCancelled {
                var next = record
                next.run(on: me, epoch: epoch)
                next.reason = endReason ?? "the migration was cancelled"
                endReason = nil
                write(next, after: record, for: .other, &actions)
            } else if let target = record.target, let arrival = record.arrival {
                copy = .sending(epoch)
                actions.append(.send(epoch, to: target, at: arrival))
            }
        case (.running, .saving):
            copy = .saving(epoch)
            actions.append(.save(epoch))
        case (.running, .stopping):
            copy = .stopping(epoch)
            order(record.stop ?? .powerOff, &actions)
        case (.launching, .stopping):
            // A guest that has not run yet hears nothing.
            copy = .stopping(epoch)
            order(.powerOff, &actions)
        case (.stopping, .stopping): order(record.stop ?? .powerOff, &actions)
        case (.sending, .migrating) where record.isCancelled: cancel(epoch, &actions)
        case (.sending, .running): cancel(epoch, &actions)
        case (.running, .starting):
            // A restarted daemon finds it running under an epoch that is still to be announced.
            run(record, epoch, &actions)
        case (_, .stopped), (_, .waiting), (_, .saved), (_, .failed): end(&actions)
        default: break
        }
    }

    private mutating func order(
        _ wanted: MachineRecord.Stop, _ actions: inout [MachineHostAction]
    ) {
        guard stop != wanted else { return }
        stop = wanted
        actions.append(.stop(wanted))
    }

    private mutating func cancel(_ epoch: UInt64, _ actions: inout [MachineHostAction]) {
        guard !isCancelling else { return }
        isCancelling = true
        actions.append(.cancel(epoch))
    }

    private mutating func end(_ actions: inout [MachineHostAction]) {
        guard copy != .ending else { return }
        copy = .ending
        actions.append(.kill)
    }

    /// Asks for the record that lets the copy run.
    private mutating func run(
        _ record: MachineRecord, _ epoch: UInt64, _ actions: inout [MachineHostAction]
    ) {
        guard isLeaseValid else { return }
        var next = record
        next.run(on: me, epoch: epoch)
        next.reason = endReason
        write(next, after: record, for: .run(epoch), &actions)
    }

    private mutating func write(
        _ next: MachineRecord, after record: MachineRecord, for purpose: Writing,
        _ actions: inout [MachineHostAction]
    ) {
        writing = purpose
        actions.append(.write(next, after: record))
    }
}
