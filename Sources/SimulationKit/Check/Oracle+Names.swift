import VolumeModel
import VolumeProtocol

/// What a name stands for, as far as programs were told.
final class NameLedger {
    enum Known: Equatable {
        case file(FileHandle)
        case absent
    }

    /// Changes under way; one whose caller was lost is under way for good.
    var changes = 0
    var epoch = 0
    /// Changes met: which came last nobody can tell.
    var isMixed = false
    var known: Known?
}

extension Oracle {
    /// A program asks for something that changes names.
    func beginNames(_ operation: Operation) {
        for name in operation.names {
            let ledger = nameLedger(name)
            ledger.changes += 1
            ledger.epoch += 1
            if ledger.changes > 1 { ledger.isMixed = true }
        }
    }

    func endNames(_ operation: Operation, _ result: OperationResult) {
        // Its node was fenced: it may be done later, or not.
        if case .failed(.inputOutput) = result { return }
        let names = operation.names
        guard !names.isEmpty else { return }
        let before = names.map { nameLedger($0).isMixed ? nil : nameLedger($0).known }
        let after = changed(operation, result, before)
        for (name, value) in zip(names, after) {
            let ledger = nameLedger(name)
            ledger.changes -= 1
            ledger.epoch += 1
            ledger.known = ledger.isMixed ? nil : value
            if ledger.changes == 0 { ledger.isMixed = false }
        }
    }

    private func changed(
        _ operation: Operation, _ result: OperationResult, _ before: [NameLedger.Known?]
    ) -> [NameLedger.Known?] {
        if case .failed = result { return before }
        switch (operation, result) {
        case (.create, .entry(let entry)): return [.file(entry.handle)]
        case (.link(let file, _), _): return [.file(file)]
        case (.unlink, _): return [.absent]
        case (.rename, _):
            guard before.count == 2 else { return before }
            // Two names of one file stay as they are.
            guard let source = before[0], let target = before[1], source != .absent else {
                return [nil, nil]
            }
            return source == target ? before : [.absent, source]
        default: return before.map { _ in nil }
        }
    }

    /// A number to compare when the answer is there; nil: the name changes just now.
    func beginLookUp(_ name: [UInt8]) -> Int? {
        let ledger = nameLedger(name)
        return ledger.changes == 0 ? ledger.epoch : nil
    }

    func endLookUp(
        _ name: [UInt8], _ epoch: Int?, _ found: NameLedger.Known, by node: NodeIdentity
    ) {
        let ledger = nameLedger(name)
        guard let epoch, ledger.epoch == epoch else { return }
        if let known = ledger.known, known != found {
            simulation.fail(
                "a name is wrong",
                "\(node) is told that \(name) is \(found), and not \(known)")
        }
        ledger.known = found
    }
}

extension Operation {
    /// The names of the root directory that this changes; a rename of a name to itself changes none.
    fileprivate var names: [[UInt8]] {
        switch self {
        case .create(let name, _, _, _, _), .link(_, let name), .unlink(let name): [name.name]
        case .rename(let name, let target, _): name == target ? [] : [name.name, target.name]
        default: []
        }
    }
}
