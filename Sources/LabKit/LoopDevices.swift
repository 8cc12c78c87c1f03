/// Loop devices and the files behind them, from /sys/block.
enum LoopDevices {
    /// Devices such as `/dev/loop3` whose backing file satisfies the predicate. A file that was
    /// removed is shown to it by its former path.
    static func devices(backedBy isOurs: (String) -> Bool) -> [String] {
        SystemFile.names(in: "/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
            guard let text = try? SystemFile.text("/sys/block/\(name)/loop/backing_file")
            else {
                return nil
            }
            var path = text.hasSuffix("\n") ? String(text.dropLast()) : text
            if path.hasSuffix(" (deleted)") { path.removeLast(" (deleted)".count) }
            return isOurs(path) ? "/dev/\(name)" : nil
        }
    }

    /// Those of `devices` that are still attached, to what the predicate says or to a file whose
    /// mount is gone; waits for their end.
    static func remaining(_ devices: [String], backedBy isOurs: (String) -> Bool) -> [String] {
        var rest: [String] = []
        _ = Clock.wait(atMostSeconds: LabLimits.goneSeconds, pollSeconds: 0.1) {
            let attached = self.devices { isOurs($0) || $0 == "/" }
            rest = devices.filter(attached.contains)
            return rest.isEmpty
        }
        return rest
    }

    /// Detaches them and waits until they are gone: one that is still open goes with its last
    /// user. Returns those that stayed.
    static func detach(
        atMostSeconds: Double = LabLimits.goneSeconds, backedBy isOurs: (String) -> Bool
    ) -> [String] {
        _ = Clock.wait(atMostSeconds: atMostSeconds, pollSeconds: 0.1) {
            let devices = devices(backedBy: isOurs)
            for device in devices {
                // May fail as long as the device is open: then it is asked for again.
                _ = try? Command(["losetup", "-d", device]).runBlocking(onStuck: {})
            }
            return devices.isEmpty
        }
        return devices(backedBy: isOurs)
    }
}
