// swift-tools-version: 6.2
import PackageDescription
let package = Package(
    name: "covolume",
    targets: [
        .target(name: "VolumeModel", swiftSettings: [.treatAllWarnings(as: .error), .strictMemorySafety()]),
        .target(name: "VolumeProtocol", dependencies: ["VolumeModel"], swiftSettings: [.treatAllWarnings(as: .error), .strictMemorySafety()]),
    ], swiftLanguageModes: [.v6])
