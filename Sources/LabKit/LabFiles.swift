import Foundation

/// Makes a lab's folders, configurations and LUN.
struct LabFiles {
    let plan: LabPlan

    /// Removes what an earlier lab left in the directory first.
    func make() throws(LabError) {
        try removeEarlier()
        try SystemFile.makeDirectory(plan.storeDirectory, mode: 0o700)
        try SystemFile.makeDirectory(plan.authorityDirectory, mode: 0o700)
        for node in plan.nodes {
            try SystemFile.makeDirectory(node.directory)
            try SystemFile.makeDirectory(node.stateDirectory, mode: 0o700)
            try SystemFile.makeDirectory(node.certificatesDirectory, mode: 0o700)
            try writeConfiguration(of: node)
        }
        try makeImage()
    }

    private func writeConfiguration(of node: LabNodePlan) throws(LabError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(node.configuration) else {
            preconditionFailure("a configuration of plain values encodes")
        }
        try SystemFile.replace(node.configurationPath, with: Array(data))
    }

    private func removeEarlier() throws(LabError) {
        // Removing a node's folder with a volume still in it would empty the volume.
        if let mount = try MountInfo.below(plan.directory).first {
            throw LabError(
                .alreadyUp,
                "\(mount.mountPoint) is still mounted: `covol lab down \(plan.directory)` first")
        }
        let earlier = SystemFile.names(in: plan.directory).filter { name in
            name == "store" || name == "authority" || name == "lun"
                || (name.hasPrefix("node") && Int(name.dropFirst(4)) != nil)
        }
        for name in earlier {
            let path = plan.directory + "/" + name
            do {
                try FileManager.default.removeItem(atPath: path)
            } catch {
                throw LabError(.systemCall, "cannot remove \(path): \(error)")
            }
        }
    }

    private func makeImage() throws(LabError) {
        unlink(plan.lunLink)
        let path = plan.imagePath
        unlink(path)
        do {
            let image = try Descriptor(opening: path, flags: O_RDWR | O_CREAT | O_EXCL)
            guard ftruncate(image.number, off_t(plan.options.sizeBytes)) == 0 else {
                throw LabError.system("ftruncate", path)
            }
        }
        guard plan.options.memory else { return }
        guard symlink(path, plan.lunLink) == 0 else {
            throw LabError.system("symlink", plan.lunLink)
        }
    }
}
