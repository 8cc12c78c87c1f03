import CLinux
import Glibc

extension Command {
    /// Runs it to its end, on a thread of its own.
    ///
    /// After `timeoutSeconds` its whole session is killed, and a `commandTimedOut` is thrown with
    /// what it wrote. `onStuck` is called when even SIGKILL did not end it within two seconds: it
    /// waits in the kernel, perhaps for a FUSE daemon whose connection must be aborted.
    /// - Throws: `LabError` when it could not be started or timed out; not for a status.
    public func run(
        onStuck: @escaping @Sendable () -> Void = {}
    ) async throws(LabError) -> CommandResult {
        try await Blocking.run { () throws(LabError) in
            try self.runBlocking(onStuck: onStuck)
        }
    }

    /// Runs it, and takes a status other than 0 for an error.
    @discardableResult
    func runChecked() throws(LabError) -> CommandResult {
        let result = try runBlocking(onStuck: {})
        guard result.status == 0 else {
            throw LabError(
                .commandFailed,
                "\(shown): status \(result.status): \(result.stderr)\(result.stdout)")
        }
        return result
    }

    func runBlocking(onStuck: () -> Void) throws(LabError) -> CommandResult {
        let inputFile = Descriptor(owning: try SystemFile.memory(input))
        let started = try startPiped(input: inputFile.number)
        let pid = started.pid
        var collector = OutputCollector(
            pid: pid, output: started.output.number, errors: started.errors.number)
        let ended = collector.collect(untilSeconds: Clock.nowSeconds + timeoutSeconds)
        if !ended {
            kill(-pid, SIGKILL)
            if !collector.collect(untilSeconds: Clock.nowSeconds + 2) {
                onStuck()
                _ = collector.collect(untilSeconds: Clock.nowSeconds + 5)
            }
        }
        let result = CommandResult(
            status: collector.status ?? 128 + SIGKILL, stdoutBytes: collector.outputBytes,
            stderrBytes: collector.errorBytes)
        guard ended else {
            let state = collector.status == nil ? ", and could not be killed (pid \(pid))" : ""
            throw LabError(
                .commandTimedOut,
                "\(shown): not done after \(timeoutSeconds) s\(state)\n\(result.stderr)"
                    + result.stdout)
        }
        return result
    }

    /// The child has the only writing ends, so that its end is the pipes' end.
    private func startPiped(input: Int32) throws(LabError) -> PipedChild {
        let output = try Pipe()
        let errors = try Pipe()
        let pid = try start(
            input: input, output: output.writeEnd.number, errors: errors.writeEnd.number)
        return PipedChild(pid: pid, output: output.readEnd, errors: errors.readEnd)
    }
}

/// A child, and where its output can be read.
private struct PipedChild: ~Copyable {
    let pid: Int32
    let output: Descriptor
    let errors: Descriptor
}
