import Handover
import Glibc
import VolumeModel

// covol-holder SOCKET GRACE-SECONDS: keeps FUSE mounts while covold restarts; covold starts it.
guard CommandLine.arguments.count == 3, let grace = Int(CommandLine.arguments[2]), grace > 0 else {
    let usage = "usage: covol-holder SOCKET GRACE-SECONDS\ncovold starts it, one for each node.\n"
    _ = write(2, usage, usage.utf8.count)
    exit(2)
}
setsid()
signal(SIGHUP, SIG_IGN)
signal(SIGPIPE, SIG_IGN)
do throws(ErrorCode) {
    var holder = try Holder(path: CommandLine.arguments[1], graceSeconds: grace)
    holder.run()
} catch {
    let line = "covol-holder: \(CommandLine.arguments[1]): \(error)\n"
    _ = write(2, line, line.utf8.count)
    exit(error == .tryAgain ? 0 : 1)
}
