import VolumeModel

/// What is on a block device or in an image file, and who uses it on this node.
public struct DeviceContents: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        /// No signature, and the first and last MiB are zeros.
        case blank
        /// No signature, and yet not blank.
        case unrecognised
        /// An XFS or ext4 alone.
        case fileSystem(FileSystemDescription)
        /// Anything else, in words: each signature found.
        case other([String])
    }

    public var path: String
    /// False for an image file.
    public var isBlockDevice: Bool
    public var sizeBytes: UInt64
    /// 512 for an image file.
    public var logicalBlockSizeBytes: UInt32
    public var content: Content
    /// Who uses it on this node, in words; empty where nobody does.
    public var holders: [String]

    public var fileSystem: FileSystemDescription? {
        if case .fileSystem(let found) = content { found } else { nil }
    }

    /// Whether the device may become a volume as it is.
    public var adoption: Suitability {
        var reasons = deviceReasons
        var notes: [String] = []
        switch content {
        case .blank:
            reasons.append("\(path) is blank; --format makes a file system")
        case .unrecognised:
            reasons.append("\(path) holds data of no known kind; --format would destroy it")
        case .other(let found):
            reasons.append("\(path) holds \(found.joined(separator: " and ")), which is no volume")
        case .fileSystem(let found):
            reasons += found.refusals.map { "\(path): \(found.kind.rawValue): \($0)" }
            notes = found.notes
        }
        return reasons.isEmpty ? .suitable(notes: notes) : .refused(reasons: reasons)
    }

    /// Whether a file system may be made on the device.
    ///
    /// - Parameter mayOverwrite: the operator named this device as one whose contents may go.
    public func formatting(mayOverwrite: Bool) -> Suitability {
        var reasons = deviceReasons
        if !mayOverwrite {
            switch content {
            case .blank: break
            case .unrecognised: reasons.append("\(path) holds data of no known kind")
            case .other(let found):
                reasons.append("\(path) holds \(found.joined(separator: " and "))")
            case .fileSystem(let found):
                reasons.append(
                    "\(path) holds the file system \(found.kind.rawValue)"
                        + (found.label.isEmpty ? "" : " labelled \"\(found.label)\""))
            }
        }
        return reasons.isEmpty ? .suitable(notes: []) : .refused(reasons: reasons)
    }

    private var deviceReasons: [String] {
        var reasons = holders.map { "\(path) is in use: \($0)" }
        if UInt64(logicalBlockSizeBytes) > Limits.blockSizeBytes {
            reasons.append(
                "\(path) has logical blocks of \(logicalBlockSizeBytes) bytes, more than the "
                    + "\(Limits.blockSizeBytes) that a volume moves")
        }
        if sizeBytes < Limits.blockSizeBytes {
            reasons.append("\(path) is only \(sizeBytes) bytes long")
        }
        return reasons
    }
}
