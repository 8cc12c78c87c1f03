import VolumeModel
import VolumeProtocol

/// What is there on the volume, for who compares it with an intent. A file or a directory that is
/// gone has nothing: no name, no size, no attribute.
public protocol VolumeView {
    func file(named name: NameInDirectory) throws(ErrorCode) -> FileHandle?
    func sizeBytes(of file: FileHandle) throws(ErrorCode) -> UInt64?
    func hasAttribute(_ name: [UInt8], of file: FileHandle) throws(ErrorCode) -> Bool
    /// In the private directory.
    func isHidden(_ file: FileHandle) throws(ErrorCode) -> Bool
}

/// Tells what was done from what was not (rule once). A command's intent is taken, under the task's
/// claims, right before it is performed; its outcome is recorded before they end. So an intent
/// without outcome can only be the work of one operation that nothing conflicting followed.
public enum IntentResolver {
    /// What became of an intent without outcome.
    public enum Resolution: Hashable, Sendable {
        /// Nothing: a repetition is performed.
        case notDone
        case done(OnceOutcome)
        /// It, or a part, which has to go: the file is cut to the size that it had.
        case cutBack(FileHandle, sizeBytes: UInt64)
    }

    /// What has to be recorded before a command. Nil where nothing has: the command may be done
    /// again, or fails. An unnamed file's intent is ``OnceIntent/makesHidden(_:open:)``, once it has
    /// a handle.
    public static func intent(
        for command: Command, payloadBytes: Int, _ view: some VolumeView
    ) throws(ErrorCode) -> OnceIntent? {
        switch command {
        case .perform(let operation):
            return try intent(for: operation, payloadBytes: payloadBytes, view)
        case .hide(let name, let file):
            return try view.file(named: name) == file ? .takesName(name, file) : nil
        case .renameHiding(let name, let target, _):
            return try move(of: name, to: target, view)
        case .resolve, .removeHidden, .map, .grow, .fill, .settle, .stat:
            return nil
        }
    }

    private static func intent(
        for operation: Operation, payloadBytes: Int, _ view: some VolumeView
    ) throws(ErrorCode) -> OnceIntent? {
        switch operation {
        case .create(let name, _, _, let open, _):
            return try making(name, open: open, view)
        case .makeNode(let name, _, _, _, _), .makeDirectory(let name, _, _),
            .makeSymbolicLink(let name, _, _):
            return try making(name, open: nil, view)
        case .link(let file, let name):
            return try view.file(named: name) == nil ? .links(file, name) : nil
        case .unlink(let name), .removeDirectory(let name):
            return try view.file(named: name).map { .takesName(name, $0) }
        case .rename(let name, let target, _):
            return try move(of: name, to: target, view)
        case .write(let file, _, let flags)
        where flags.contains(.append) && payloadBytes > 0:
            return try view.sizeBytes(of: file).map { .appends(file, fromBytes: $0) }
        case .allocate(let file, let mode, let range):
            return try shift(of: file, mode, range, view)
        case .setExtendedAttribute(let file, let name, _, let flags)
        where flags & AttributeFlags.create != 0:
            return try view.hasAttribute(name, of: file) ? nil : .addsAttribute(file, name: name)
        case .removeExtendedAttribute(let file, let name):
            return try view.hasAttribute(name, of: file)
                ? .removesAttribute(file, name: name) : nil
        default:
            return nil
        }
    }

    private static func making(
        _ name: NameInDirectory, open: OpenID?, _ view: some VolumeView
    ) throws(ErrorCode) -> OnceIntent? {
        try view.file(named: name) == nil ? .makesName(name, open: open) : nil
    }

    /// Two names of one file stay as they are, whatever the flags.
    private static func move(
        of name: NameInDirectory, to target: NameInDirectory, _ view: some VolumeView
    ) throws(ErrorCode) -> OnceIntent? {
        guard let file = try view.file(named: name), try view.file(named: target) != file else {
            return nil
        }
        return .takesName(name, file)
    }

    private static func shift(
        of file: FileHandle, _ mode: UInt32, _ range: ByteRange, _ view: some VolumeView
    ) throws(ErrorCode) -> OnceIntent? {
        guard mode & (AllocationMode.collapse | AllocationMode.insert) != 0,
            let size = try view.sizeBytes(of: file), range.endBytes <= UInt64(Int64.max)
        else { return nil }
        let length = range.lengthBytes
        if mode & AllocationMode.collapse != 0 {
            guard range.endBytes < size, length > 0 else { return nil }
            return .shifts(file, fromBytes: size, toBytes: size - length)
        }
        guard range.startBytes < size, length > 0, length <= UInt64(Int64.max) - size else {
            return nil
        }
        return .shifts(file, fromBytes: size, toBytes: size + length)
    }

    /// What has to be recorded after a command; nil where its failure changed nothing, and for what
    /// is no request's own command. `hadIntent`: it must be taken back.
    public static func outcome(
        of command: Command, _ result: CommandResult, hadIntent: Bool
    ) -> OnceOutcome? {
        switch (command, result) {
        case (_, .failed(let error)):
            return hadIntent ? .failed(error) : nil
        case (.hide, .performed), (.renameHiding, .performed):
            return .done
        case (.perform(let operation), .performed(let result, _)) where operation.needsSlot:
            return outcome(of: operation, result, hadIntent: hadIntent)
        default:
            return nil
        }
    }

    private static func outcome(
        of operation: Operation, _ result: OperationResult, hadIntent: Bool
    ) -> OnceOutcome? {
        switch (operation, result) {
        case (.create(_, _, _, let open, _), .entry(let entry)),
            (.createUnnamed(_, _, _, let open), .entry(let entry)):
            return .entry(entry.handle, open: open)
        case (_, .entry(let entry)):
            return .entry(entry.handle, open: nil)
        case (.setAttributes(let file, _), .attributes):
            return .attributes(file)
        case (_, .written(let offset, let length, let size)):
            return .written(offsetBytes: offset, lengthBytes: length, sizeBytes: size)
        case (_, .copied(let bytes)):
            return .copied(bytes)
        case (_, .failed(let error)):
            return hadIntent ? .failed(error) : nil
        default:
            return .done
        }
    }

    /// What an intent without outcome means, by what is there now.
    public static func resolve(
        _ intent: OnceIntent, _ view: some VolumeView
    ) throws(ErrorCode) -> Resolution {
        switch intent {
        case .makesName(let name, let open):
            guard let file = try view.file(named: name) else { return .notDone }
            return .done(.entry(file, open: open))
        case .makesHidden(let file, let open):
            return try view.isHidden(file) ? .done(.entry(file, open: open)) : .notDone
        case .links(let file, let name):
            return try view.file(named: name) == file
                ? .done(.entry(file, open: nil)) : .notDone
        case .takesName(let name, let file):
            return try view.file(named: name) == file ? .notDone : .done(.done)
        case .appends(let file, let from):
            // The size tells nothing of the data: in a block that it has already, ext4 makes it durable
            // on its own.
            guard let size = try view.sizeBytes(of: file), size > from else { return .notDone }
            return .cutBack(file, sizeBytes: from)
        case .shifts(let file, _, let to):
            return try view.sizeBytes(of: file) == to ? .done(.done) : .notDone
        case .addsAttribute(let file, let name):
            return try view.hasAttribute(name, of: file) ? .done(.done) : .notDone
        case .removesAttribute(let file, let name):
            return try view.hasAttribute(name, of: file) ? .notDone : .done(.done)
        }
    }
}
