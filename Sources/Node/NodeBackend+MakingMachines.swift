import ClusterStore
import Foundation
import MachineCore
import Management
import VirtualMachines
import VolumeModel
import VolumeProtocol

/// How virtual machines are made, changed and removed: their records, and their folders on the volume.
extension NodeBackend {
    func createMachine(
        _ request: MachineCreateRequest, progress: @escaping Progress
    ) async throws {
        let volume = try await self.record(named: request.volume)
        guard try await mount(of: volume) != nil else {
            throw ManagementError.unavailable("\(volume.name) is not there yet on this node")
        }
        guard try await context.store.get(StoreKeys.machine(request.name)).entry == nil else {
            throw ManagementError.conflict(
                "there is a machine \(request.name) already; choose another name")
        }
        let folder = context.path(of: volume.name) + "/" + request.name
        do {
            try await VolumeFiles.makeFolder(folder)
        } catch {
            throw ManagementError.conflict(
                "\(folder) cannot be made (\(error)): choose another name, or look at what is there"
            )
        }
        do {
            let record = try await furnish(folder, request, volume, progress)
            let response = try await context.store.transaction(
                compares: [.missing(StoreKeys.machine(request.name))],
                success: [.putJSON(StoreKeys.machine(request.name), record)])
            guard response.succeeded else {
                throw ManagementError.conflict("there is a machine \(request.name) already")
            }
        } catch {
            // Made here, a moment ago.
            try? await VolumeFiles.remove(folder)
            throw (error as? ManagementError) ?? ManagementError.refused("\(error)")
        }
    }

    private func furnish(
        _ folder: String, _ request: MachineCreateRequest, _ volume: VolumeRecord,
        _ progress: @escaping Progress
    ) async throws -> MachineRecord {
        let settings = request.settings
        var configuration = MachineConfiguration(
            name: request.name, memoryBytes: settings.memoryBytes ?? 512 << 20,
            cpus: settings.cpus ?? 1, disks: [], network: request.network,
            accelerator: request.accelerator.flatMap(MachineConfiguration.Accelerator.init))
        if request.disk != nil || request.image != nil {
            configuration.disks = [try await makeDisk(folder, request, progress)]
        }
        if let kernel = request.kernel {
            await progress("copying the kernel")
            try await VolumeFiles.copy(kernel, to: folder + "/kernel")
            configuration.kernel = "kernel"
        }
        if let initrd = request.initrd {
            try await VolumeFiles.copy(initrd, to: folder + "/initrd")
            configuration.initrd = "initrd"
        }
        configuration.append = request.append
        configuration.iso = request.iso
        try await VolumeFiles.write(
            configuration.encoded(), to: folder + "/" + MachineConfiguration.fileName)
        var record = MachineRecord(
            name: request.name, volume: volume.id,
            demand: MachineDemand(memoryBytes: configuration.memoryBytes))
        record.apply(settings)
        record.cpus = configuration.cpus
        return record
    }

    private func makeDisk(
        _ folder: String, _ request: MachineCreateRequest, _ progress: @escaping Progress
    ) async throws -> MachineConfiguration.Disk {
        let format = request.disk?.format ?? .raw
        let file = "disk0.\(format.rawValue)"
        let path = folder + "/" + file
        let size = request.disk?.sizeBytes
        if let image = request.image {
            await progress("converting \(image)")
            try await convert(
                ["qemu-img", "convert", "-p", "-O", format.rawValue, "--", image, path], progress)
            if let size {
                await progress("growing the disk")
                try await VolumeFiles.run(
                    ["qemu-img", "resize", "-f", format.rawValue, "--", path, String(size)])
            }
        } else if let size {
            await progress("making the disk")
            try await VolumeFiles.run(
                ["qemu-img", "create", "-q", "-f", format.rawValue, "--", path, String(size)])
        }
        return MachineConfiguration.Disk(
            file: file, format: format == .raw ? .raw : .qcow2)
    }

    /// Runs qemu-img, and tells its progress (`-p`: `    (12.34/100%)`) a line for each ten percent.
    private func convert(_ command: [String], _ progress: @escaping Progress) async throws {
        let (percents, source) = AsyncStream.makeStream(of: Int.self)
        let teller = Task {
            var last = 0
            for await percent in percents where percent / 10 > last {
                last = percent / 10
                await progress("\(last * 10) %")
            }
        }
        defer { source.finish() }
        try await VolumeFiles.run(command) { text in
            let number = text.split(separator: "(").last?.split(separator: ".").first
            if let percent = number.flatMap({ Int($0) }) { source.yield(percent) }
        }
        source.finish()
        await teller.value
    }

    func setMachine(_ name: String, _ settings: MachineSettings) async throws {
        let record = try await machineRecord(name)
        if settings.memoryBytes != nil || settings.cpus != nil {
            guard let volume = VolumeID(record.volume).flatMap({ manager.instance($0)?.shownName })
            else { throw ManagementError.unavailable("its volume is not there on this node") }
            let path =
                context.path(of: volume) + "/\(name)/" + MachineConfiguration.fileName
            var configuration = try MachineConfiguration.decode(try await VolumeFiles.read(path))
            configuration.memoryBytes = settings.memoryBytes ?? configuration.memoryBytes
            configuration.cpus = settings.cpus ?? configuration.cpus
            try await VolumeFiles.write(configuration.encoded(), to: path)
        }
        _ = try await changeMachine(name) { $0.apply(settings) }
    }

    func removeMachine(_ name: String, progress: @escaping Progress) async throws {
        let key = StoreKeys.machine(name)
        guard let current = try await context.store.getJSON(key, as: MachineRecord.self) else {
            throw ManagementError.machineNotFound(name)
        }
        guard !current.value.isOn else {
            throw ManagementError.conflict("\(name) is on; covol vm stop \(name) first")
        }
        let path = try await machine(named: name).path
        // First the record: nobody starts what is being deleted.
        let response = try await context.store.transaction(
            compares: [.modRevision(key, .equal, current.entry.modRevision)],
            success: [.delete(key)])
        guard response.succeeded else {
            throw ManagementError.conflict("\(name) changed meanwhile; try again")
        }
        await progress("deleting \(path)")
        try await VolumeFiles.remove(path)
    }
}

extension MachineRecord {
    /// Takes over what placement goes by.
    mutating func apply(_ settings: MachineSettings) {
        demand.memoryBytes = settings.memoryBytes ?? demand.memoryBytes
        cpus = settings.cpus ?? cpus
        if let priority = settings.priority.flatMap(MachineDemand.Priority.init) {
            demand.priority = priority
        }
        demand.preferredOwners = settings.preferredOwners ?? demand.preferredOwners
        demand.possibleOwners = settings.possibleOwners ?? demand.possibleOwners
        if let group = settings.antiAffinityGroup {
            demand.antiAffinityGroup = group.isEmpty ? nil : group
        }
    }
}
