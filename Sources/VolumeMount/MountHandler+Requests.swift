import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

extension MountHandler {
    /// Serves everything but reads and writes; runs as a task of its own and may wait.
    func serve(
        _ request: FUSERequest, _ context: FUSEContext, _ handle: FileHandle, _ reply: FUSEReplyPort
    ) async {
        if let open = request.openHandle,
            state.withLock({ $0.filter.isLost(FileIndex(handle: open)) })
        {
            reply.error(.inputOutput)
            return
        }
        switch request {
        case .getattr, .statx:
            await attributes(of: handle, request, reply)
        case .setattr(let set):
            await setAttributes(handle, set, reply)
        case .readlink:
            await answerBytes(.readLink(handle), size: nil, reply)
        case .symlink, .mknod, .link, .tmpfile:
            await make(request, context, handle, reply)
        case .rename(let name, let newParent, let newName, let flags):
            guard let target = nodes.handle(newParent) else {
                reply.error(.stale)
                return
            }
            await answerDone(
                .rename(
                    NameInDirectory(parent: handle, name: name),
                    to: NameInDirectory(parent: target, name: newName), flags: flags), reply)
        case .release(let open, _, _, _):
            await release(handle, open, reply)
        case .fsync(let open, _):
            await synchronize(handle, open, reply)
        case .flush(let open, let owner):
            await flush(handle, open, owner, reply)
        case .statfs:
            await statistics(reply)
        case .getxattr, .setxattr, .listxattr, .removexattr:
            await extendedAttributes(request, context, handle, reply)
        case .getlk(let lock):
            await testLock(handle, lock, reply)
        case .setlk(let lock):
            await setLock(handle, lock, waits: false, context, reply)
        case .setlkw(let lock):
            await setLock(handle, lock, waits: true, context, reply)
        case .fallocate(let open, let offset, let length, let mode):
            _ = await report(FileIndex(handle: open))
            // As a write, it takes set-id bits from what an unprivileged caller changes.
            if context.userID != 0 {
                var change = AttributeChange()
                change.clearsSetID = true
                _ = await ask(.setAttributes(handle, change))
            }
            await answerDone(
                .allocate(handle, mode: mode, ByteRange(offset: offset, length: length)), reply)
        case .lseek(let open, let offset, let whence):
            _ = await report(FileIndex(handle: open))
            await seek(handle, offset, whence, reply)
        case .copyFileRange(let copy):
            await copyRange(handle, copy, reply)
        case .access:
            reply.error(.notImplemented)
        case .ioctl:
            reply.error(.notTerminal)
        case .bmap, .poll, .unknown:
            reply.error(.notImplemented)
        case .forget, .batchForget, .interrupt, .destroy, .lookup, .create, .mkdir, .unlink, .rmdir,
            .open, .opendir, .releasedir, .readdir, .readdirplus, .fsyncdir, .syncfs:
            preconditionFailure("served before")
        }
    }

    func answerDone(_ operation: Operation, _ reply: FUSEReplyPort) async {
        switch await ask(operation).result {
        case .failed(let error): reply.error(operation.namesSomething ? error.underParent : error)
        default: reply.ok()
        }
    }

    /// Answers a value; with a size, as getxattr(2) and listxattr(2) want it.
    func answerBytes(
        _ operation: Operation, size: UInt32?, hidesTrusted: Bool = false, _ reply: FUSEReplyPort
    ) async {
        let bytes: [UInt8]
        switch await ask(operation).result {
        case .bytes(let value):
            bytes = value
        case .names(let names):
            let shown =
                hidesTrusted ? names.filter { !$0.starts(with: "trusted.".utf8) } : names
            bytes = shown.flatMap { $0 + [0] }
        case .failed(let error):
            reply.error(error)
            return
        default:
            reply.error(.protocolError)
            return
        }
        switch size {
        case nil: reply.data(bytes)
        case 0: reply.xattrSize(UInt32(bytes.count))
        case .some(let limit) where bytes.count > Int(limit): reply.error(.outOfRange)
        case .some: reply.data(bytes)
        }
    }

    private func statistics(_ reply: FUSEReplyPort) async {
        switch await ask(.statistics).result {
        case .statistics(let statistics): reply.statistics(statistics)
        case .failed(let error): reply.error(error)
        default: reply.error(.protocolError)
        }
    }

    private func seek(
        _ handle: FileHandle, _ offset: UInt64, _ whence: UInt32, _ reply: FUSEReplyPort
    ) async {
        guard let target = SeekTarget(rawValue: UInt8(truncatingIfNeeded: whence)) else {
            reply.error(.invalid)
            return
        }
        switch await ask(.seek(handle, offsetBytes: offset, target)).result {
        case .offset(let found): reply.offset(found)
        case .failed(let error): reply.error(error)
        default: reply.error(.protocolError)
        }
    }

    private func copyRange(
        _ handle: FileHandle, _ copy: FUSECopyRange, _ reply: FUSEReplyPort
    ) async {
        guard let target = nodes.handle(copy.destinationNode) else {
            reply.error(.stale)
            return
        }
        let source = FileIndex(handle: copy.handle)
        let destination = FileIndex(handle: copy.destinationHandle)
        if state.withLock({ $0.filter.isLost(source) || $0.filter.isLost(destination) }) {
            reply.error(.inputOutput)
            return
        }
        _ = await report(source)
        _ = await report(destination)
        let operation = Operation.copyRange(
            handle, sourceOffsetBytes: copy.offset, to: target,
            targetOffsetBytes: copy.destinationOffset, lengthBytes: copy.length)
        switch await ask(operation).result {
        case .copied(let bytes): reply.written(bytes)
        case .failed(let error): reply.error(error)
        default: reply.error(.protocolError)
        }
    }

    private func extendedAttributes(
        _ request: FUSERequest, _ context: FUSEContext, _ handle: FileHandle,
        _ reply: FUSEReplyPort
    ) async {
        switch request {
        case .getxattr(let name, let size):
            await answerBytes(.extendedAttribute(handle, name: name), size: size, reply)
        case .listxattr(let size):
            // The coordinator lists them as root; to others trusted ones do not show, see xattr(7).
            await answerBytes(
                .extendedAttributes(handle), size: size, hidesTrusted: context.userID != 0, reply)
        case .setxattr(let name, let value, let flags, _):
            await answerDone(
                .setExtendedAttribute(handle, name: name, value: value, flags: flags), reply)
        case .removexattr(let name):
            await answerDone(.removeExtendedAttribute(handle, name: name), reply)
        default:
            preconditionFailure("not about extended attributes")
        }
    }
}

extension FUSERequest {
    /// The open of a file that a request works on, where a file that is lost must not answer.
    fileprivate var openHandle: UInt64? {
        switch self {
        case .setattr(let set): set.handle
        case .getlk(let lock), .setlk(let lock), .setlkw(let lock): lock.handle
        case .fallocate(let open, _, _, _): open
        case .lseek(let open, _, _): open
        default: nil
        }
    }
}

extension VolumeProtocol.Operation {
    /// Works on a name in a directory.
    var namesSomething: Bool {
        switch self {
        case .unlink, .removeDirectory, .rename: true
        default: false
        }
    }
}
