import Glibc
import MachineSupervision

// covol-machine DIRECTORY: supervises one virtual machine; covold starts it.
guard CommandLine.arguments.count == 2 else {
    let usage = "usage: covol-machine DIRECTORY\ncovold starts it, one for each virtual machine.\n"
    _ = write(2, usage, usage.utf8.count)
    exit(2)
}
// The daemon's end, or its terminal's, is none of its business.
setsid()
// The daemon's sockets are not QEMU's: they would keep its addresses in use.
closeInherited()
signal(SIGHUP, SIG_IGN)
signal(SIGPIPE, SIG_IGN)
MachineSupervisor(directory: MachineRunDirectory(path: CommandLine.arguments[1])).run()
