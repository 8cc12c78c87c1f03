import Glibc
import VolumeModel

extension FUSEHandshake {
    /// Waits for the kernel's INIT on a new mount, and answers it.
    static func perform(
        on channel: FUSEChannel, path: String, options: FUSEMountOptions, wantsUring: Bool
    ) throws(FUSEMountError) -> FUSEHandshake {
        let capacity = FUSELimits.headroomBytes + options.maximumWriteBytes
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
        defer { buffer.deallocate() }
        var count = -1
        while count < 0 {
            var wanted = pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&wanted, 1, FUSELimits.handshakeTimeoutMilliseconds)
            if ready == 0 { throw FUSEMountError(.handshake, path, .timedOut) }
            count = read(channel.descriptor, buffer.baseAddress!, capacity)
            let code = ErrorCode(errno)
            if count < 0 && code != .interrupted && code != .tryAgain && code != .noEntry {
                throw FUSEMountError(.handshake, path, code)
            }
        }
        do throws(Failure) {
            let handshake = try FUSEHandshake(
                request: UnsafeRawBufferPointer(rebasing: buffer[..<count]), options: options,
                wantsUring: wantsUring)
            let isTaken = handshake.reply.withUnsafeBytes {
                channel.reply(
                    unique: handshake.unique, error: 0, data: $0.baseAddress,
                    lengthBytes: $0.count)
            }
            guard isTaken else { throw Failure.malformed(.badName) }
            return handshake
        } catch {
            throw FUSEMountError(
                .handshake, path, .protocolError, detail: "\(error); Linux 5.12 or newer is needed")
        }
    }
}
