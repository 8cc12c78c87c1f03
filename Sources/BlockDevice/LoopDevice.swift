import CLinux
import Glibc
import Synchronization
import VolumeModel

/// A loop device with direct I/O over an image file or a block device, loop(4): the device of one
/// epoch that nobody else has open (rule fresh-mount).
///
/// ``detach()`` gives it back and says whether that worked. Without it, and when the process dies, the
/// kernel detaches it once nobody has it open (autoclear), silently.
public final class LoopDevice: Sendable {
    /// Where the device is, such as `/dev/loop0`.
    public let path: String
    /// What it shows.
    public let backingPath: String
    public let isReadOnly: Bool
    public let logicalBlockSizeBytes: UInt32

    /// The kernel's count of media in this device when ours was attached: sysfs `diskseq`.
    private let sequence: String
    private let descriptor: Mutex<Int32?>

    /// Attempts to win a free device from other programs that look for one.
    private static let attemptsMaximum = 64

    /// Attaches a file or block device.
    ///
    /// - Parameter logicalBlockSizeBytes: the smallest I/O to the device. Larger than the backing's
    ///   own is fine; a smaller one is refused by the kernel.
    /// - Throws: in words, also where the backing cannot do direct I/O or no device is free.
    public init(
        attaching backingPath: String, isReadOnly: Bool = false,
        logicalBlockSizeBytes: UInt32 = UInt32(Limits.blockSizeBytes)
    ) throws(BlockDeviceError) {
        let backing: OpenFile
        do throws(ErrorCode) {
            let mode = isReadOnly ? covol_o_rdonly : covol_o_rdwr
            backing = try OpenFile(backingPath, flags: mode | covol_o_direct)
        } catch {
            throw BlockDeviceError(
                error == .invalid
                    ? "\(backingPath) cannot do direct I/O; use a file system that can"
                    : "\(backingPath) cannot be opened", code: error)
        }
        let (path, number) = try Self.attach(
            backing.number, backingPath: backingPath, isReadOnly: isReadOnly,
            logicalBlockSizeBytes: logicalBlockSizeBytes)
        self.path = path
        self.backingPath = backingPath
        self.isReadOnly = isReadOnly
        self.logicalBlockSizeBytes = logicalBlockSizeBytes
        sequence = readSmallFile(Self.sysfs(path) + "/diskseq") ?? ""
        descriptor = Mutex(number)
        var flags: UInt32 = 0
        var (major, minor, inode): (UInt32, UInt32, UInt64) = (0, 0, 0)
        let result = covol_loop_status(number, &flags, &major, &minor, &inode)
        guard result >= 0, flags & covol_loop_flag_direct_io != 0 else {
            // The kernel falls back to buffered I/O without a word, and two nodes would then not
            // see each other's writes.
            throw BlockDeviceError(
                "\(path) over \(backingPath) does not do direct I/O; its blocks of "
                    + "\(logicalBlockSizeBytes) bytes may be too small for what is below it")
        }
    }

    deinit {
        // Autoclear does the rest.
        if let number = descriptor.withLock({ $0 }) { _ = covol_close(number) }
    }

    /// Detaches the device and waits until the kernel has let the backing go. A second call does
    /// nothing.
    ///
    /// - Throws: where the device is still mounted or open elsewhere after the time-out. It detaches
    ///   by itself as soon as that ends.
    public func detach(timeoutSeconds: Double = 10) throws(BlockDeviceError) {
        let number = descriptor.withLock { descriptor in
            let value = descriptor
            descriptor = nil
            return value
        }
        guard let number else { return }
        let result = covol_loop_clear(number)
        _ = covol_close(number)
        // ENXIO: someone else detached it before us.
        guard result >= 0 || result == -ENXIO else {
            throw BlockDeviceError("\(path) cannot be detached", code: ErrorCode(-result))
        }
        let intervalMicroseconds: UInt32 = 10_000
        var attempts = Int(timeoutSeconds * 1e6) / Int(intervalMicroseconds)
        while isAttached {
            guard attempts > 0 else {
                throw BlockDeviceError(
                    "\(path) is still attached to \(backingPath): it is mounted, or another program "
                        + "has it open; it goes when that ends")
            }
            attempts -= 1
            usleep(intervalMicroseconds)
        }
    }

    /// Whether the kernel still has this attachment, and not a later one of the same device.
    private var isAttached: Bool {
        readSmallFile(Self.sysfs(path) + "/loop/backing_file") != nil
            && readSmallFile(Self.sysfs(path) + "/diskseq") == sequence
    }

    private static func sysfs(_ path: String) -> String {
        "/sys/block/" + path.dropFirst("/dev/".count)
    }

    private static func attach(
        _ backing: Int32, backingPath: String, isReadOnly: Bool, logicalBlockSizeBytes: UInt32
    ) throws(BlockDeviceError) -> (path: String, number: Int32) {
        do throws(ErrorCode) {
            let control = try OpenFile("/dev/loop-control", flags: covol_o_rdwr)
            for _ in 0..<attemptsMaximum {
                let index = try checked(covol_loop_get_free(control.number))
                let path = "/dev/loop\(index)"
                let mode = isReadOnly ? covol_o_rdonly : covol_o_rdwr
                let loop = try OpenFile(path, flags: mode)
                let result = covol_loop_configure(
                    loop.number, backing, logicalBlockSizeBytes, isReadOnly ? 1 : 0, backingPath)
                if result == -EBUSY { continue }
                try checked(result)
                return (path, loop.release())
            }
        } catch {
            throw BlockDeviceError(
                "no loop device could be attached to \(backingPath); is there a /dev/loop-control, "
                    + "and was the limit of loop devices (max_loop) reached?", code: error)
        }
        throw BlockDeviceError(
            "\(attemptsMaximum) free loop devices were taken by others before \(backingPath) could "
                + "be attached; try again")
    }
}

extension OpenFile {
    /// Gives the descriptor up without closing it.
    consuming func release() -> Int32 {
        let value = number
        discard self
        return value
    }
}
