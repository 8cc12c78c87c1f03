import CLinux
import Glibc
import VolumeModel

/// Finds out whether a path to the LUN works.
public enum LUNProbe {
    /// Opens `device` for direct I/O and reads its first block, on a thread of its own: where the path
    /// hangs, so does that thread. `completion` is called there, with a descriptor that is its own to
    /// close, or the error.
    public static func open(
        device: String, _ completion: @escaping @Sendable (Result<Int32, ErrorCode>) -> Void
    ) {
        do throws(ErrorCode) {
            try FUSEThread.start(name: "lun-probe") { completion(read(device)) }
        } catch {
            completion(.failure(error))
        }
    }

    private static func read(_ device: String) -> Result<Int32, ErrorCode> {
        let descriptor = Glibc.open(device, O_RDWR | covol_o_direct | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(ErrorCode(errno)) }
        let size = Int(Limits.blockSizeBytes)
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: size)
        defer { block.deallocate() }
        let count = pread(descriptor, block, size, 0)
        let error = count < 0 ? ErrorCode(errno) : .inputOutput
        guard count == size else {
            close(descriptor)
            return .failure(error)
        }
        return .success(descriptor)
    }
}
