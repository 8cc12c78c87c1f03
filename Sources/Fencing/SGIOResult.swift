import VolumeModel

/// What ioctl(SG_IO) tells about one command: three statuses, of the target, of the host bus
/// adapter and of the driver, of which the target's counts where there is one.
struct SGIOResult: Equatable {
    var status: UInt8
    var hostStatus: UInt16
    var driverStatus: UInt16
    var sense: [UInt8]
    var data: [UInt8]

    /// - Throws: `timedOut` or `transport`: whether the target executed the command is not known.
    func response(path: String) throws(FenceError) -> SCSIResponse {
        // The kernel sets a host status of its own beside RESERVATION CONFLICT (DID_NEXUS_FAILURE).
        if status != SCSIResponse.good {
            // The residual of a command that failed says nothing: what came is no data.
            return SCSIResponse(status: status, sense: sense)
        }
        switch hostStatus {
        case 0: break
        case 0x03: throw .timedOut("\(path): the host bus adapter gave the command up")
        default:
            throw .transport("\(path): \(SGIOResult.hostWords(hostStatus))")
        }
        // DRIVER_SENSE (8) comes with sense data, which old drivers deliver without a status.
        switch driverStatus & 0x0f {
        case 0: return SCSIResponse(status: status, sense: sense, data: data)
        case 0x08 where !sense.isEmpty:
            return SCSIResponse(status: SCSIResponse.checkCondition, sense: sense)
        case 0x06: throw .timedOut("\(path): the driver gave the command up")
        default: throw .transport("\(path): driver status \(driverStatus)")
        }
    }

    /// include/scsi/scsi_status.h of the kernel.
    private static func hostWords(_ status: UInt16) -> String {
        switch status {
        case 0x01: "no connection to the target (DID_NO_CONNECT)"
        case 0x02: "the bus stayed busy (DID_BUS_BUSY)"
        case 0x04: "no such target (DID_BAD_TARGET)"
        case 0x05: "the command was aborted (DID_ABORT)"
        case 0x07: "an error of the host bus adapter (DID_ERROR)"
        case 0x08: "the bus or the target was reset (DID_RESET)"
        case 0x0e: "the connection was disrupted (DID_TRANSPORT_DISRUPTED)"
        case 0x0f: "the connection failed (DID_TRANSPORT_FAILFAST)"
        default: "host status \(status)"
        }
    }
}
