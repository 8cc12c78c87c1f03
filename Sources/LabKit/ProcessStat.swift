/// What the lab needs of /proc/PID/stat (proc_pid_stat(5)).
struct ProcessStat: Equatable {
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    let state: Character
    /// When the process started, in clock ticks since boot (field 22).
    let startTicks: UInt64

    /// Nil for text that is not such a line. The name in parentheses may contain anything, so
    /// the fields are counted from its last parenthesis.
    init?(parsing text: String) {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 19, let state = fields[0].first, fields[0].count == 1,
            let ticks = UInt64(fields[19])
        else {
            return nil
        }
        self.state = state
        self.startTicks = ticks
    }

    /// Whether the process has ended, and only its parent has not looked yet.
    var hasEnded: Bool { state == "Z" || state == "X" || state == "x" }
    /// Whether it is stopped: it will not see a polite signal.
    var isStopped: Bool { state == "T" || state == "t" }
}
