import CLinux
import Glibc

extension LabNode {
    /// Turns this process into a command on the node: its status, signals and terminal are the
    /// caller's. Returns only by throwing.
    ///
    /// Only the calling thread moves to the node's network namespace; exec(3) then ends the
    /// others. The mount namespace stays, so that the command sees the node's volumes.
    public func replaceProcess(with words: [String]) throws(LabError) {
        let command = Command(words, environment: environment)
        let program = try command.program()
        let namespace = Descriptor(owning: try NetworkNamespace.open(plan.namespace))
        let entered = covol_enter_netns(namespace.number)
        guard entered == 0 else {
            throw LabError.system("setns", plan.namespace, error: -entered)
        }
        let variables = command.environment.map { "\($0.key)=\($0.value)" }
        // This is a thread of Swift's, which has most signals blocked; exec(3) would keep that.
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        let error = withCStrings(words) { argv in
            withCStrings(variables) { envp in
                execve(program, argv, envp)
                return errno
            }
        }
        throw LabError.system("cannot start", command.shown, error: error)
    }
}
