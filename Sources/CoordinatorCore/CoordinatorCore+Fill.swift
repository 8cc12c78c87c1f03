import VolumeModel
import VolumeProtocol

/// Holes that are zeroed before a node writes there, so that it can do so directly; and what of that
/// is given back.
extension CoordinatorCore {
    mutating func fillOrDecline(
        _ id: TaskID, _ session: NodeIdentity, _ file: FileHandle, _ range: ByteRange,
        _ actions: inout [CoordinatorAction]
    ) {
        guard files[file]?.opens[session] != nil else {
            finish(id, .failed(.badDescriptor), &actions)
            return
        }
        let blocks = filled(file, range)
        guard !blocks.isEmpty else {
            finish(id, .sendData, &actions)
            return
        }
        let follows =
            files[file]?.fill.map { fill in
                fill.session == session
                    && (fill.endBytes == blocks.startBytes
                        || fill.zeroed.ranges.contains { $0.endBytes == blocks.startBytes })
            } ?? false
        execute(id, .fill(file, blocks, follows: follows), .executing, &actions)
    }

    /// What was zeroed counts as unused until its node says what it wrote, or somebody else comes near.
    mutating func noteFill(
        of file: FileHandle, for session: NodeIdentity, _ answer: OperationResult,
        _ zeroed: [ByteRange]
    ) {
        // Where nothing was zeroed what its node knows of the last fill stays true, its generation with it.
        guard case .layout(let grant) = answer, !zeroed.isEmpty else { return }
        var fill = Fill(
            session: session, generation: grant.generation, endBytes: grant.range.endBytes)
        if let known = files[file]?.fill, known.session == session { fill.zeroed = known.zeroed }
        for range in zeroed { fill.zeroed.insert(range) }
        files[file]?.fill = fill.zeroed.ranges.count <= Fill.rangesMaximum ? fill : nil
    }

    /// Leaves in a report what may be taken out of the file again. The node that it was for has closed
    /// the file: nothing of its own can be on its way there.
    mutating func takeFillBack(
        _ report: inout WriteReport, from session: NodeIdentity, about file: FileHandle
    ) {
        guard let unused = report.unusedFill else { return }
        report.unusedFill = nil
        guard let state = files[file], let fill = state.fill, fill.session == session,
            fill.generation == unused.generation, state.opens[session] == nil,
            !unused.range.isEmpty, fill.zeroed.contains(unused.range),
            state.holders(of: unused.range).isEmpty
        else { return }
        files[file]?.fill = nil
        report.unusedFill = unused
    }
}
