import Foundation
import Testing

@testable import Fencing

@Suite struct SGIOTests {
    private func result(
        status: UInt8 = 0, host: UInt16 = 0, driver: UInt16 = 0, sense: [UInt8] = []
    ) -> SGIOResult {
        SGIOResult(
            status: status, hostStatus: host, driverStatus: driver, sense: sense, data: [1])
    }

    @Test func targetsStatusCountsFirst() throws {
        // With DID_NEXUS_FAILURE, as the kernel reports a reservation conflict.
        let conflict = try result(status: 0x18, host: 0x11).response(path: "sda")
        #expect(conflict.status == SCSIResponse.reservationConflict)
        let check = result(status: 2, driver: 8, sense: unitAttention.sense)
        #expect(
            try check.response(path: "sda")
                == .init(
                    status: 2, sense: unitAttention.sense))
        #expect(try result().response(path: "sda") == .init(status: 0, data: [1]))
    }

    @Test func senseWithoutStatusIsACheckCondition() throws {
        let answer = try result(driver: 8, sense: unitAttention.sense).response(path: "sda")
        #expect(answer.status == SCSIResponse.checkCondition)
    }

    @Test func failuresOnTheWayAreErrors() {
        for host: UInt16 in [1, 4, 7, 0x0e, 0x0f, 0x33] {
            let error = #expect(throws: FenceError.self) {
                try result(host: host).response(path: "sda")
            }
            guard case .transport? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        for (host, driver): (UInt16, UInt16) in [(3, 0), (0, 6)] {
            let error = #expect(throws: FenceError.self) {
                try result(host: host, driver: driver).response(path: "sda")
            }
            guard case .timedOut? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    @Test func fileTakesNoCommands() throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/file"
        try Data([0]).write(to: URL(filePath: path))
        let reservations = PersistentReservations(try SGIOTransport(device: path))
        let error = #expect(throws: FenceError.self) { try reservations.readKeys() }
        guard case .unsupported(let text)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains(path))
        #expect(throws: FenceError.self) { try SGIOTransport(device: path + ".not") }
    }
}

@Suite struct PathDevicesTests {
    @Test func multipathDeviceHasItsPaths() throws {
        let directory = TemporaryDirectory()
        let (dev, sysfs) = ("\(directory.path)/dev", "\(directory.path)/sys")
        let files = FileManager.default
        try files.createDirectory(atPath: dev, withIntermediateDirectories: true)
        for name in ["dm-0", "dm-1", "sda", "sdb"] {
            try Data().write(to: URL(filePath: "\(dev)/\(name)"))
            try files.createDirectory(
                atPath: "\(sysfs)/\(name)/slaves", withIntermediateDirectories: true)
        }
        for slave in ["dm-0/slaves/dm-1", "dm-1/slaves/sda", "dm-1/slaves/sdb"] {
            try files.createDirectory(
                atPath: "\(sysfs)/\(slave)", withIntermediateDirectories: true)
        }
        // By a link, as /dev/mapper/NAME is.
        try files.createSymbolicLink(atPath: "\(dev)/lun", withDestinationPath: "dm-0")
        #expect(
            try PathDevices.below("\(dev)/lun", sysfs: sysfs) == ["\(dev)/sda", "\(dev)/sdb"])
        #expect(try PathDevices.below("\(dev)/sda", sysfs: sysfs) == ["\(dev)/sda"])
        #expect(throws: FenceError.self) { try PathDevices.below("\(dev)/none", sysfs: sysfs) }
    }
}
