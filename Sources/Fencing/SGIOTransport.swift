import CLinux
import Glibc
import VolumeModel

/// A path by the kernel's SCSI generic interface: ioctl(SG_IO) on a SCSI disk's block device or its
/// `/dev/sg` device. Needs CAP_SYS_RAWIO.
public final class SGIOTransport: SCSITransport {
    public let name: String
    private let number: Int32
    private let timeoutSeconds: Double
    private let calls = BoundedCall<Result<SGIOResult, ErrorCode>>()

    /// - Parameter timeoutSeconds: the command's time. The kernel may abort it a little longer; after
    ///   twice this time the caller gets `timedOut` whatever the kernel does.
    /// - Throws: `transport` where the device is not there or does not answer, `unsupported` where it
    ///   may not be opened.
    public init(
        device: String, timeoutSeconds: Double = FencingLimits.commandTimeoutSeconds
    ) throws(FenceError) {
        name = device
        self.timeoutSeconds = timeoutSeconds
        // Non-blocking: the open must not wait for a drive to become ready.
        number = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard number >= 0 else {
            let (code, problem) = (errno, "\(device) cannot be opened: \(text(ofErrno: errno))")
            switch code {
            case ENXIO, ENODEV, ENOENT, EIO: throw .transport(problem)
            default: throw .unsupported(problem)
            }
        }
    }

    deinit { close(number) }

    public func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        precondition((6...16).contains(cdb.count), "a command of \(cdb.count) bytes")
        precondition(dataOut.isEmpty || dataInMaximum == 0, "a command reads or writes, not both")
        // Keeps this object, and with it the descriptor, until the call has come back.
        let result = calls.run(timeoutSeconds: 2 * timeoutSeconds) { [self] in
            call(cdb: cdb, dataOut: dataOut, dataInMaximum: dataInMaximum)
        }
        switch result {
        case .success(let result): return try result.response(path: name)
        case .failure(let code): throw error(code)
        case nil: throw .timedOut("\(name): the kernel does not end the command")
        }
    }

    /// ioctl(SG_IO). Blocks until the kernel has ended the command.
    private func call(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) -> Result<SGIOResult, ErrorCode> {
        var data = dataOut.isEmpty ? [UInt8](repeating: 0, count: dataInMaximum) : dataOut
        var sense = [UInt8](repeating: 0, count: FencingLimits.senseMaximumBytes)
        var command = covol_scsi_command()
        let result = cdb.withUnsafeBufferPointer { cdbBytes in
            data.withUnsafeMutableBytes { dataBytes in
                sense.withUnsafeMutableBufferPointer { senseBytes in
                    // Sound: the call ends before these pointers do.
                    command.cdb = cdbBytes.baseAddress
                    command.cdb_length = UInt8(cdbBytes.count)
                    command.is_data_out = dataOut.isEmpty ? 0 : 1
                    command.data = dataBytes.baseAddress
                    command.data_length = UInt32(dataBytes.count)
                    command.timeout_ms = UInt32(timeoutSeconds * 1000)
                    command.sense = senseBytes.baseAddress
                    command.sense_capacity = UInt8(senseBytes.count)
                    return covol_scsi_execute(number, &command)
                }
            }
        }
        guard result == 0 else { return .failure(ErrorCode(-result)) }
        let received = dataOut.isEmpty ? max(0, data.count - max(0, Int(command.residual))) : 0
        return .success(
            SGIOResult(
                status: command.status, hostStatus: command.host_status,
                driverStatus: command.driver_status,
                sense: Array(sense.prefix(Int(command.sense_length))),
                data: Array(data.prefix(received))))
    }

    private func error(_ code: ErrorCode) -> FenceError {
        switch code {
        case .notTerminal, .invalid, .notSupported, .notImplemented:
            .unsupported("\(name) takes no SCSI commands, so it has no persistent reservations")
        case .notPermitted, .accessDenied:
            .unsupported("\(name): SCSI commands need CAP_SYS_RAWIO, and no partition takes them")
        default: .transport("\(name): \(text(ofErrno: code.number))")
        }
    }
}

/// The C library's words, strerror(3).
func text(ofErrno number: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    _ = strerror_r(number, &buffer, buffer.count)
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
