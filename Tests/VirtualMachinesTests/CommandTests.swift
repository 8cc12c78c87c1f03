import Foundation
import MachineSupervision
import Testing
import VirtualMachines

@Suite struct CommandTests {
    private func configuration(
        _ change: (inout MachineConfiguration) -> Void = { _ in }
    ) -> MachineConfiguration {
        var configuration = MachineConfiguration(
            name: "web", memoryBytes: 512 << 20, cpus: 2,
            disks: [.init(file: "disk0.raw", format: .raw)], network: "none",
            macAddress: "52:54:00:01:02:03", accelerator: .tcg)
        change(&configuration)
        return configuration
    }

    private func arguments(
        _ configuration: MachineConfiguration, folder: String = "/v/web", isIncoming: Bool = false
    ) -> [String] {
        QEMUCommand(
            configuration: configuration, folder: folder,
            directory: MachineRunDirectory(path: "/run/vm/web@1"), isIncoming: isIncoming
        ).arguments
    }

    private func value(_ option: String, _ arguments: [String]) -> String? {
        arguments.firstIndex(of: option).map { arguments[$0 + 1] }
    }

    @Test func itNeverRunsByItself() {
        #expect(arguments(configuration()).contains("-S"))
        #expect(arguments(configuration(), isIncoming: true).contains("-S"))
    }

    @Test func sizesAndDisks() {
        let arguments = arguments(configuration())
        #expect(value("-m", arguments) == "512M")
        #expect(value("-smp", arguments) == "2")
        #expect(
            value("-blockdev", arguments)
                == "driver=file,node-name=file0,filename=/v/web/disk0.raw,cache.direct=on,"
                + "aio=io_uring,locking=on")
        #expect(value("-device", arguments)?.contains("werror=stop,rerror=stop") == true)
    }

    @Test func commasInPathsAreDoubled() {
        let arguments = arguments(configuration(), folder: "/v/a,b")
        #expect(value("-blockdev", arguments)?.contains("filename=/v/a,,b/disk0.raw") == true)
    }

    @Test(arguments: [("none", 0), ("user", 1), ("bridge=br0", 1)])
    func networks(_ network: String, _ count: Int) {
        let arguments = arguments(configuration { $0.network = network })
        #expect(arguments.count { $0.hasPrefix("virtio-net-pci") } == count)
        if network == "bridge=br0" {
            #expect(
                value("-netdev", arguments)
                    == "tap,id=net,script=/run/vm/web@1/network.sh,downscript=no")
        }
    }

    @Test func onlyAnIncomingCopyWaits() {
        #expect(value("-incoming", arguments(configuration(), isIncoming: true)) == "defer")
        #expect(!arguments(configuration()).contains("-incoming"))
    }

    @Test func absolutePathsStay() {
        let arguments = arguments(configuration { $0.iso = "/images/d.iso" })
        #expect(arguments.contains { $0.contains("filename=/images/d.iso,read-only=on") })
    }

    @Test func theFileIsReadAsItWasWritten() throws {
        let configuration = configuration { $0.append = "console=ttyS0 \"quoted\"" }
        #expect(try MachineConfiguration.decode(configuration.encoded()) == configuration)
        #expect(throws: MachineError.self) { try MachineConfiguration.decode(Data("{}".utf8)) }
        #expect(throws: MachineError.self) { try MachineConfiguration.decode(Data("no".utf8)) }
    }

    @Test func addressesAreOfQEMUsRange() {
        let address = MachineConfiguration.newMACAddress()
        #expect(address.hasPrefix("52:54:00:") && address.count == 17)
    }
}
