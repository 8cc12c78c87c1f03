import VolumeModel

/// Faults and SCSI commands.
extension LUNModel {
    /// What `fault` on the control socket asks.
    enum FaultCommand: Hashable, Sendable {
        /// `restore` is `ok`.
        case set(PathFault)
        /// Holds back the next write.
        case lateWrite
        /// Lets the write that was held back land.
        case releaseLate
    }

    mutating func apply(_ command: FaultCommand, path: Int) -> Effects {
        var effects = Effects()
        switch command {
        case .lateWrite: paths[path].isLateWriteArmed = true
        case .releaseLate:
            paths[path].isLateWriteArmed = false
            letGo(path: path, late: true, others: false, effects: &effects)
        case .set(let fault):
            paths[path].fault = fault
            switch fault {
            case .ok:
                paths[path].isLateWriteArmed = false
                letGo(path: path, late: true, others: true, effects: &effects)
            case .slow: letGo(path: path, late: false, others: true, effects: &effects)
            case .fail: failHeld(path: path, error: .inputOutput, effects: &effects)
            case .cut:
                paths[path].isLateWriteArmed = false
                end(path: path, error: .inputOutput, effects: &effects)
            case .hang: break
            }
        }
        return effects
    }

    /// The path's FUSE connection is over.
    mutating func connectionEnded(path: Int) -> Effects {
        var effects = Effects()
        paths[path].hasEnded = true
        end(path: path, error: .notConnected, effects: &effects)
        return effects
    }

    /// How a SCSI command gets through a path.
    enum CommandVerdict: Hashable, Sendable {
        case execute
        case delay(milliseconds: Int)
        /// Asked again until the path is restored or the caller's patience ends.
        case wait
        case fail
    }

    func verdict(forCommandOn path: Int) -> CommandVerdict {
        if paths[path].hasEnded { return .fail }
        switch paths[path].fault {
        case .ok: return .execute
        case .fail, .cut: return .fail
        case .hang: return .wait
        case .slow(let milliseconds): return .delay(milliseconds: milliseconds)
        }
    }

    /// A PREEMPT AND ABORT ends what its victims have under way: what has not landed yet never will.
    mutating func execute(
        cdb: [UInt8], dataOut: [UInt8], path: Int
    ) -> (response: SCSIResponse, effects: Effects) {
        let outcome = target.execute(cdb: cdb, dataOut: dataOut, from: paths[path].name)
        var effects = Effects()
        for (index, victim) in paths.enumerated() where outcome.abortedPaths.contains(victim.name) {
            end(path: index, error: Self.conflict, effects: &effects)
        }
        return (outcome.response, effects)
    }
}
