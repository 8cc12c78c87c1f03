// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
/// Pure modules: no input or output, no clock, and no unsafe code that is not marked.
let pure: [SwiftSetting] = strict + [.strictMemorySafety()]

func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")

let package = Package(
    name: "covolume",
    products: [
        .executable(name: "covol", targets: ["covol"]),
        .executable(name: "covold", targets: ["covold"]),
        .executable(name: "covol-store", targets: ["covol-store"]),
        .executable(name: "covol-lun", targets: ["covol-lun"]),
        .executable(name: "covol-machine", targets: ["covol-machine"]),
        .executable(name: "covol-holder", targets: ["covol-holder"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Pure
        .target(name: "VolumeModel", swiftSettings: pure),
        .target(name: "VolumeProtocol", dependencies: ["VolumeModel"], swiftSettings: pure),
        .target(
            name: "CoordinatorCore", dependencies: ["VolumeModel", "VolumeProtocol"],
            swiftSettings: pure),
        .target(
            name: "FilterCore", dependencies: ["VolumeModel", "VolumeProtocol"],
            swiftSettings: pure),
        .target(name: "ClusterCore", dependencies: ["VolumeModel"], swiftSettings: pure),
        .target(name: "MachineCore", dependencies: ["VolumeModel"], swiftSettings: pure),
        .target(name: "Locking", swiftSettings: strict),
        // One kernel interface each
        .target(name: "CLinux", linkerSettings: [.linkedLibrary(":liburing.a")]),
        .target(
            name: "BlockDevice", dependencies: ["CLinux", "VolumeModel"], swiftSettings: strict,
            linkerSettings: [.linkedLibrary("blkid")]),
        .target(
            name: "HostFileSystem",
            dependencies: ["BlockDevice", "CLinux", "Locking", "VolumeModel"],
            swiftSettings: strict),
        .target(name: "IORing", dependencies: ["CLinux", "VolumeModel"], swiftSettings: strict),
        .target(
            name: "FUSE", dependencies: ["CLinux", "IORing", "VolumeModel", log],
            swiftSettings: strict),
        .target(
            name: "Handover", dependencies: ["CLinux", "VolumeModel"], swiftSettings: strict),
        .target(
            name: "Fencing", dependencies: ["CLinux", "VolumeModel"], swiftSettings: strict),
        // Services
        .target(
            name: "ClusterStore",
            dependencies: [
                .product(name: "GRDB", package: "GRDB.swift"), nio("NIOCore"), nio("NIOPosix"),
                log,
            ], swiftSettings: strict),
        .target(
            name: "ClusterAuthority", dependencies: [x509, crypto, asn1], swiftSettings: strict),
        .target(
            name: "Transport",
            dependencies: [
                "ClusterAuthority", nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"), log,
            ], swiftSettings: strict),
        .target(
            name: "CoordinatorService",
            dependencies: [
                "CoordinatorCore", "HostFileSystem", "Locking", "VolumeModel", "VolumeProtocol",
                nio("NIOCore"), log,
            ], swiftSettings: strict),
        .target(
            name: "VolumeMount",
            dependencies: [
                "CLinux", "FilterCore", "FUSE", "Locking", "VolumeModel", "VolumeProtocol",
                nio("NIOCore"), log,
            ], swiftSettings: strict),
        .target(name: "MachineSupervision", swiftSettings: strict),
        .target(
            name: "VirtualMachines",
            dependencies: ["MachineSupervision", nio("NIOCore"), nio("NIOPosix")],
            swiftSettings: strict),
        .target(
            name: "Management",
            dependencies: [
                "VolumeModel", .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                lifecycle, nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"), log,
            ], swiftSettings: strict),
        .target(
            name: "Node",
            dependencies: [
                "BlockDevice", "ClusterAuthority", "ClusterCore", "ClusterStore",
                "CoordinatorService", "FUSE", "Fencing", "Handover", "HostFileSystem", "Locking",
                "MachineCore", "MachineSupervision", "Management", "Transport", "VirtualMachines",
                "VolumeModel",
                "VolumeMount", "VolumeProtocol", nio("NIOCore"),
                nio("NIOPosix"), lifecycle, log,
            ], swiftSettings: strict),
        // Command line and lab
        .target(
            name: "LUNSimulator", dependencies: ["CLinux", "FUSE", "VolumeModel", log],
            swiftSettings: strict),
        .target(
            name: "CovolCommands",
            dependencies: ["ClusterAuthority", "Management", "VolumeModel", arguments],
            swiftSettings: strict),
        .target(
            name: "LabKit", dependencies: ["CLinux", "ClusterAuthority"], swiftSettings: strict),
        .target(name: "LabCommands", dependencies: ["LabKit", arguments], swiftSettings: strict),
        // Executables
        .executableTarget(
            name: "covol", dependencies: ["CovolCommands", "LabCommands", arguments],
            swiftSettings: strict),
        .executableTarget(
            name: "covold", dependencies: ["Node", arguments, log], swiftSettings: strict),
        .executableTarget(
            name: "covol-machine", dependencies: ["MachineSupervision"], swiftSettings: strict),
        .executableTarget(
            name: "covol-holder", dependencies: ["Handover", "VolumeModel"],
            swiftSettings: strict),
        // Serves FUSE for tests that kill it.
        .executableTarget(
            name: "fuse-child", dependencies: ["CLinux", "FUSE", "Handover", "VolumeModel", log],
            swiftSettings: strict),
        .executableTarget(
            name: "covol-store", dependencies: ["ClusterStore", arguments, log],
            swiftSettings: strict),
        .target(
            name: "SimulationKit",
            dependencies: [
                "ClusterCore", "CoordinatorCore", "FilterCore", "MachineCore", "VolumeModel",
                "VolumeProtocol",
            ], swiftSettings: pure),
        .executableTarget(
            name: "covol-sim", dependencies: ["SimulationKit", arguments], swiftSettings: strict),
        .executableTarget(
            name: "covol-lun", dependencies: ["LUNSimulator", arguments, log],
            swiftSettings: strict),
        // The POSIX tests' hand: makes one system call at a time under another user's name.
        .executableTarget(name: "posix-helper"),
        // Tests
        .testTarget(name: "VolumeModelTests", dependencies: ["VolumeModel"], swiftSettings: pure),
        .testTarget(
            name: "VolumeProtocolTests", dependencies: ["VolumeModel", "VolumeProtocol"],
            swiftSettings: pure),
        .testTarget(
            name: "CoordinatorCoreTests",
            dependencies: ["CoordinatorCore", "VolumeModel", "VolumeProtocol"],
            swiftSettings: pure),
        .testTarget(
            name: "FilterCoreTests", dependencies: ["FilterCore", "VolumeModel", "VolumeProtocol"],
            swiftSettings: pure),
        .testTarget(
            name: "ClusterCoreTests", dependencies: ["ClusterCore", "VolumeModel"],
            swiftSettings: pure),
        .testTarget(
            name: "MachineCoreTests", dependencies: ["MachineCore", "VolumeModel"],
            swiftSettings: pure),
        .testTarget(
            name: "VirtualMachinesTests",
            dependencies: ["ClusterAuthority", "MachineSupervision", "VirtualMachines"],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["SimulationKit", "VolumeModel"],
            swiftSettings: pure),
        .testTarget(
            name: "RuleTests",
            dependencies: [
                "BlockDevice", "CLinux", "CoordinatorCore", "CoordinatorService", "FilterCore",
                "HostFileSystem", "VolumeModel", "VolumeProtocol", nio("NIOCore"), log,
            ], swiftSettings: strict),
        .testTarget(
            name: "BlockDeviceTests", dependencies: ["BlockDevice", "CLinux", "VolumeModel"],
            swiftSettings: strict),
        .testTarget(
            name: "HostFileSystemTests",
            dependencies: ["BlockDevice", "CLinux", "HostFileSystem", "VolumeModel"],
            swiftSettings: strict),
        .testTarget(
            name: "FencingTests",
            dependencies: ["CLinux", "Fencing", "LUNSimulator", "VolumeModel", log],
            exclude: ["Recorded"], swiftSettings: strict),
        .testTarget(
            name: "IORingTests", dependencies: ["CLinux", "IORing", "VolumeModel"],
            swiftSettings: strict),
        .testTarget(
            name: "FUSETests",
            dependencies: [
                "CLinux", "FUSE", "Handover", "IORing", "VolumeModel", "covol-holder",
                "fuse-child", log,
            ], swiftSettings: strict),
        .testTarget(
            name: "LUNSimulatorTests",
            dependencies: [
                "CLinux", "FUSE", "IORing", "LUNSimulator", "VolumeModel", "covol-lun", log,
            ], swiftSettings: strict),
        .testTarget(
            name: "VolumeMountTests",
            dependencies: [
                "CLinux", "FilterCore", "FUSE", "IORing", "Locking", "VolumeModel", "VolumeMount",
                "VolumeProtocol", nio("NIOCore"), log,
            ], swiftSettings: strict),
        .testTarget(
            name: "ClusterStoreTests",
            dependencies: [
                "ClusterStore", "covol-store", .product(name: "GRDB", package: "GRDB.swift"),
                nio("NIOCore"), nio("NIOPosix"), log,
            ], swiftSettings: strict),
        .testTarget(
            name: "ClusterAuthorityTests", dependencies: ["ClusterAuthority", x509, asn1],
            swiftSettings: strict),
        .testTarget(
            name: "TransportTests",
            dependencies: [
                "ClusterAuthority", "Transport", nio("NIOCore"), nio("NIOPosix"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"), log,
            ], swiftSettings: strict),
        .testTarget(
            name: "ManagementTests",
            dependencies: [
                "Management", "VolumeModel",
                .product(name: "AsyncHTTPClient", package: "async-http-client"), log,
                nio("NIOCore"), nio("NIOHTTP1"), lifecycle,
            ], swiftSettings: strict),
        .testTarget(
            name: "CovolCommandsTests",
            dependencies: [
                "ClusterAuthority", "CovolCommands", "Management", "VolumeModel", arguments, log,
                lifecycle,
            ], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["CLinux", "LabKit"], swiftSettings: strict),
        .testTarget(name: "PosixTests", dependencies: ["CLinux", "LabKit"], swiftSettings: strict),
        .testTarget(
            name: "LabKitTests", dependencies: ["ClusterAuthority", "LabKit", "covol-lun"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6])
