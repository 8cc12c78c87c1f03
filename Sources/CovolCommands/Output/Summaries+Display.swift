import Management

extension VolumeSummary: ListDisplayable, DetailDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("NAME"), .text("FILESYSTEM"), .text("COORDINATOR"), .number("SIZE"),
            .number("USED"), .text("PATH"), .text("DEVICE"),
        ]
    }

    var tableRow: [String] {
        [
            name, filesystem, coordinator ?? "", byteCountText(sizeBytes),
            usedBytes.map(byteCountText) ?? "", path, device,
        ]
    }

    var details: [(label: String, value: String)] {
        [
            ("Name", name), ("Id", id), ("Path", path), ("Device", device),
            ("File system", filesystem), ("Coordinator", coordinator ?? ""),
            ("Epoch", String(epoch)), ("Size", "\(byteCountText(sizeBytes)) (\(sizeBytes) bytes)"),
            ("Used", usedBytes.map { "\(byteCountText($0)) (\($0) bytes)" } ?? ""),
            ("Fence", fenceProblem.map { "\(fence), which does not work: \($0)" } ?? fence),
            ("Failover", failover), ("Redirected", redirectedText),
        ]
    }

    private var redirectedText: String {
        redirected.sorted { $0.key < $1.key }
            .map { $0.value.isEmpty ? $0.key : "\($0.key) (\($0.value))" }
            .joined(separator: ", ")
    }
}

extension VolumeNodeState: ListDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("VOLUME"), .text("NODE"), .text("COORDINATOR"), .text("STATE"), .text("REASON"),
            .text("DETAIL"),
        ]
    }

    var tableRow: [String] {
        [
            volume, node, coordinator ?? "", state, reasons.joined(separator: ","), detail ?? "",
        ]
    }
}

extension NodeSummary: ListDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("NAME"), .text("STATE"), .text("ADDRESSES"), .text("INCARNATION"),
            .text("COORDINATOR OF"),
        ]
    }

    var tableRow: [String] {
        [
            name, state, addresses.joined(separator: ","), incarnation,
            coordinatorOf.joined(separator: ","),
        ]
    }
}

extension ClusterEvent: ListDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("TIME"), .text("SEVERITY"), .text("EVENT"), .text("VOLUME"), .text("NODE"),
            .text("TEXT"),
        ]
    }

    var tableRow: [String] { [time, severity, kind, volume ?? "", node ?? "", text] }
}

extension ClusterSummary: DetailDisplayable {
    var details: [(label: String, value: String)] {
        [
            ("Cluster", name), ("Id", id), ("Store", store), ("This node", node),
            ("Nodes", String(nodeCount)), ("Volumes", String(volumeCount)),
        ]
    }
}

extension VolumeStatistics: ListDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("VOLUME"), .text("NODE"), .number("D-READS"), .number("D-WRITES"),
            .number("D-READ"), .number("D-WRITTEN"), .number("R-READS"), .number("R-WRITES"),
            .number("R-READ"), .number("R-WRITTEN"), .number("METADATA"), .number("M-CACHED"),
            .number("RECALLS"),
        ]
    }

    var tableRow: [String] {
        [
            volume, node, String(directReads), String(directWrites), byteCountText(directReadBytes),
            byteCountText(directWriteBytes), String(redirectedReads), String(redirectedWrites),
            byteCountText(redirectedReadBytes), byteCountText(redirectedWriteBytes),
            String(metadataOperations), String(metadataCached), String(recalls),
        ]
    }
}

extension FileMapExtent: ListDisplayable {
    static var tableColumns: [TableColumn] {
        [.number("FILE OFFSET"), .number("LUN OFFSET"), .number("LENGTH"), .text("STATE")]
    }

    var tableRow: [String] {
        [
            String(fileOffsetBytes), lunOffsetBytes.map { String($0) } ?? "", String(lengthBytes),
            state,
        ]
    }
}
