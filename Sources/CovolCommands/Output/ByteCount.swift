/// A number of bytes for people: at most one decimal, in powers of 1024, rounded down.
func byteCountText(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    while unit < units.count - 1, bytes >> UInt64(10 * (unit + 1)) > 0 { unit += 1 }
    guard unit > 0 else { return "\(bytes) B" }
    let shift = UInt64(10 * unit)
    let whole = bytes >> shift
    // The tenth of what is left, computed one unit lower so that nothing overflows.
    let tenth = ((bytes >> (shift - 10)) & 1023) * 10 / 1024
    return "\(whole).\(tenth) \(units[unit])"
}
