import Foundation

/// A virtual machine's configuration: `machine.json` in its folder. See docs/operations.md for the
/// file. Paths are relative to the folder unless they are absolute.
public struct MachineConfiguration: Codable, Sendable, Equatable {
    public struct Disk: Codable, Sendable, Equatable {
        public enum Format: String, Codable, Sendable {
            case raw, qcow2
        }

        public var file: String
        public var format: Format

        public init(file: String, format: Format) {
            self.file = file
            self.format = format
        }
    }

    public enum Accelerator: String, Codable, Sendable {
        case kvm, tcg
    }

    public var name: String
    public var memoryBytes: UInt64
    public var cpus: Int
    public var disks: [Disk]
    public var kernel: String?
    public var initrd: String?
    public var append: String?
    /// A CD's image.
    public var iso: String?
    /// `user`, `bridge=NAME` or `none`.
    public var network: String
    /// Of `network`.
    public var bridge: String? {
        network.hasPrefix("bridge=") ? String(network.dropFirst("bridge=".count)) : nil
    }
    /// `52:54:00:…`
    public var macAddress: String
    /// Nil: KVM where the node has it.
    public var accelerator: Accelerator?

    public init(
        name: String, memoryBytes: UInt64, cpus: Int, disks: [Disk], network: String = "user",
        macAddress: String = Self.newMACAddress(), accelerator: Accelerator? = nil
    ) {
        self.name = name
        self.memoryBytes = memoryBytes
        self.cpus = cpus
        self.disks = disks
        self.network = network
        self.macAddress = macAddress
        self.accelerator = accelerator
    }

    public static let fileName = "machine.json"
    /// What the machine was booted with: a copy that goes on from a stream must be made the same.
    public static let runningFileName = "running.json"
    /// The state that `covol vm save` and quick migration leave in the folder.
    public static let stateFileName = "saved.state"

    /// Of the range that QEMU's machines have.
    public static func newMACAddress() -> String {
        let bytes = (0..<3).map { _ in
            let text = String(UInt8.random(in: 0...255), radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        return "52:54:00:" + bytes.joined(separator: ":")
    }

    /// - Throws: ``MachineError`` that names the field.
    public static func decode(_ data: Data) throws -> MachineConfiguration {
        do {
            return try JSONDecoder().decode(Self.self, from: data)
        } catch {
            throw MachineError("\(fileName) is not a machine's configuration: \(error)")
        }
    }

    /// The file's content, for people to read as well.
    public func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var data = try encoder.encode(self)
        data.append(UInt8(ascii: "\n"))
        return data
    }
}

/// Why something could not be done with a machine, in words.
public struct MachineError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
