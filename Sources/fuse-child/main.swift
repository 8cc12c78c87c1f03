import CLinux
import FUSE
import Foundation
import Glibc
import Handover
import Logging
import VolumeModel

// fuse-child mount|adopt|blind|deaf|mute PATH IMAGE SOCKET HOLDER GRACE TRANSPORT: a process for tests to kill. It
// serves one file, whose data are those of IMAGE; `mute` mounts and then answers no READ and no WRITE;
// `blind` adopts after every trace of requests in hand is gone from the rings' memory; `deaf` too, but believes
// to have answered them. One that adopts ends, with the mount, where it sees that requests were lost.

/// Keeps nothing but the image: any process of it knows the kernel's nodes and handles.
final class ImageFileSystem: FUSEHandler {
    let image: Int32
    let isMute: Bool

    init(image: Int32, isMute: Bool) {
        self.image = image
        self.isMute = isMute
    }

    private func attributes(_ node: UInt64) -> FileAttributes {
        let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)
        let size = node == 1 ? 0 : UInt64(lseek(image, 0, SEEK_END))
        return FileAttributes(
            inode: node, sizeBytes: size, blocks512: size / 512, accessTime: time,
            modificationTime: time, changeTime: time, mode: node == 1 ? 0o040755 : 0o100600,
            linkCount: 1, userID: 0, groupID: 0, deviceMajor: 0, deviceMinor: 0,
            blockSizeBytes: 4096)
    }

    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        switch request {
        case .lookup: reply.entry(FUSEEntry(nodeID: 2, attributes: attributes(2)))
        case .getattr, .setattr: reply.attributes(attributes(context.nodeID))
        case .open, .opendir:
            // A process that the test's starts closes copies of its files: with a FLUSH, for which
            // it would wait here.
            reply.opened(
                handle: 1,
                openFlags: FUSEOpenReplyFlags.directIO | FUSEOpenReplyFlags.noFlush
                    | FUSEOpenReplyFlags.parallelDirectWrites)
        case .forget, .batchForget, .interrupt: reply.none()
        case .release, .releasedir, .flush, .destroy, .fsync: reply.ok()
        default: reply.error(.notImplemented)
        }
    }

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        if isMute { return }
        let count = pread(
            image, slot.buffer.baseAddress!, Int(request.sizeBytes), off_t(request.offsetBytes))
        if count < 0 {
            slot.replyError(.inputOutput)
        } else {
            slot.replyRead(bufferOffset: 0, length: count)
        }
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        if isMute { return }
        let count = pwrite(
            image, slot.buffer.baseAddress!, Int(request.sizeBytes), off_t(request.offsetBytes))
        if count < 0 {
            slot.replyError(.inputOutput)
        } else {
            slot.replyWritten(UInt32(count))
        }
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {}
    func resumed(slot: FUSESlot, tag: UInt64) {}
    func ended(_ reason: FUSEEndReason) { exit(0) }
}

/// As if the requests in hand had never reached the memory of the process that ended; or, `areNoted`, as if
/// they had been answered and the kernel did not know.
func forgetRequests(_ state: FUSEMountState, _ descriptors: [Int32], areNoted: Bool) {
    for (ring, file) in zip(state.rings, descriptors.dropFirst(state.workers)) {
        var status = stat()
        fstat(file, &status)
        let memory = mmap(nil, Int(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)!
        var forgotten: Set<UInt64> = []
        for slot in 0..<2 * ring.entryMaximum {
            let place = memory + slot * ring.slotBytes + covol_fuse_ring_commit_id_offset
            forgotten.insert(place.load(as: UInt64.self))
            place.storeBytes(of: 0, as: UInt64.self)
        }
        // Behind the slots: what was noted.
        let first = areNoted ? Int(status.st_size) : 2 * ring.entryMaximum * ring.slotBytes
        for place in stride(from: first, to: Int(status.st_size), by: 8)
        where forgotten.contains(memory.load(fromByteOffset: place, as: UInt64.self)) {
            memory.storeBytes(of: 0, toByteOffset: place, as: UInt64.self)
        }
        munmap(memory, Int(status.st_size))
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 8, let grace = Int(arguments[6]),
    let transport = FUSEMountOptions.Transport(rawValue: arguments[7])
else { exit(2) }
let handler = ImageFileSystem(
    image: open(arguments[3], O_RDWR | O_CLOEXEC), isMute: arguments[1] == "mute")
guard handler.image >= 0 else { exit(3) }
var options = FUSEMountOptions()
options.transport = transport
// Few, so that requests wait in the kernel.
options.slotsPerWorker = 16
options.reserveEntriesPerWorker = 256
var logger = Logger(label: "fuse-child")
logger.logLevel = .notice
let client = try HolderClient(socket: arguments[4], program: arguments[5], graceSeconds: grace)
let mount: FUSEMount<ImageFileSystem>
let adopts = ["adopt", "blind", "deaf"].contains(arguments[1])
if adopts {
    // The holder may hear of the end of the process before a moment later.
    var taken = try? client.take("toy")
    for _ in 0..<500 where taken == nil {
        usleep(10_000)
        taken = try? client.take("toy")
    }
    guard let taken else { exit(4) }
    let state = try JSONDecoder().decode(FUSEMountState.self, from: Data(taken.record))
    if arguments[1] != "adopt" {
        forgetRequests(state, taken.descriptors, areNoted: arguments[1] == "deaf")
    }
    mount = try FUSEMount.adopt(
        state,
        descriptors: taken.descriptors, options: options, handler: handler, logger: logger)
} else {
    mount = try FUSEMount.mount(
        at: arguments[2], options: options, handler: handler, logger: logger)
    let record = [UInt8](try JSONEncoder().encode(mount.state!))
    let kept = mount.withDescriptors { descriptors in
        Result { try client.keep("toy", record: record, descriptors: descriptors) }
    }
    try kept.get()
}
_ = write(1, "ready\n", 6)
var watch = FUSELostRequestWatch()
var verdict: FUSELostRequestWatch.Verdict?
while adopts && verdict == nil {
    usleep(20_000)
    verdict = watch.look(mount.requestsWithNobody())
}
if case .lost = verdict {
    try client.drop("toy")
    exit(9)
}
while true { pause() }
