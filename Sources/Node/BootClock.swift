import MachineSupervision

/// CLOCK_BOOTTIME: what leases are counted by (rule lease-from-send); it goes on while the machine
/// sleeps.
enum BootClock {
    static var nowNanoseconds: UInt64 { bootNanoseconds() }
}
