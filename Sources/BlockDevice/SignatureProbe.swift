import CLinux

/// What libblkid recognises at known places of a device.
struct Signature: Hashable, Sendable {
    /// libblkid's name, such as `xfs` or `LVM2_member`; of partition tables `gpt`, `dos`, ….
    var type: String
    var isPartitionTable: Bool
    var label: String
    var uuid: String

    /// In words for the operator.
    var text: String {
        let name =
            switch type {
            case _ where isPartitionTable: "a partition table (\(type))"
            case "LVM2_member", "LVM1_member": "an LVM physical volume (\(type))"
            case "crypto_LUKS": "LUKS encryption (\(type))"
            case "swap": "swap space"
            case "jbd": "the external journal of an ext4"
            case "xfs_external_log": "the external log of an XFS"
            case _ where type.hasSuffix("_raid_member"): "a member of a RAID (\(type))"
            default: type
            }
        return label.isEmpty ? name : "\(name) labelled \"\(label)\""
    }
}

enum SignatureProbe {
    private static let signaturesMaximum = 32

    /// Every signature, also several at once; nil where the device could not be read.
    static func signatures(_ file: borrowing OpenFile) -> [Signature]? {
        guard let probe = covol_blkid_new(file.number) else { return nil }
        defer { covol_blkid_free(probe) }
        func value(_ name: String) -> String? {
            covol_blkid_value(probe, name).map { String(cString: $0) }
        }
        var found: [Signature] = []
        while found.count < signaturesMaximum {
            let result = covol_blkid_next(probe)
            if result == 1 { return found }
            guard result == 0 else { return nil }
            let table = value("PTTYPE")
            guard let type = table ?? value("TYPE") else { continue }
            found.append(
                Signature(
                    type: type, isPartitionTable: table != nil, label: value("LABEL") ?? "",
                    uuid: value("UUID") ?? ""))
        }
        return found
    }
}
