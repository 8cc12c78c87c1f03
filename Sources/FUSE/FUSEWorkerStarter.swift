import CLinux
import VolumeModel

/// Starts a mount's workers: all, or none.
struct FUSEWorkerStarter<Handler: FUSEHandler> {
    var connectionID: UInt32
    var slotCount: Int
    /// One for each worker, for FUSE over io_uring; none for the device alone.
    var plans: [FUSERingPlan] = []
    /// The memories of entries that another process had, one for each worker, or none; and numbers
    /// that requests may have which it had.
    var memories: [FUSERingMemory] = []
    var unseen: [UInt64] = []
    var decoder: FUSEDecoder
    var handler: Handler

    /// - Parameter fail: called where not all could be started, before those that were let go of what
    ///   they have.
    func start(
        _ channels: [FUSEChannel], connection: FUSEConnection, fail: () -> Void
    ) throws(ErrorCode) {
        // Each worker makes its ring on its own thread, then waits to hear that all others could too.
        var cores: [FUSEWorkerCore] = []
        var gates: [FUSEHandOver<Bool>] = []
        var failure: ErrorCode?
        for (number, channel) in channels.enumerated() where failure == nil {
            let made = FUSEHandOver<Result<FUSEWorkerCore, ErrorCode>>()
            let gate = FUSEHandOver<Bool>()
            do throws(ErrorCode) {
                try FUSEThread.start(name: "fuse\(connectionID)-\(number)") {
                    [
                        slotCount, decoder, handler, unseen,
                        plan = plans.isEmpty ? nil : plans[number],
                        memory = memories.isEmpty ? nil : memories[number]
                    ] in
                    // Not permitted without CAP_SYS_RESOURCE, and then done without.
                    _ = covol_fuse_io_flusher()
                    // Where a control group forbids that CPU: anywhere.
                    if let processor = plan?.processor { _ = covol_fuse_pin_thread(processor) }
                    let core: FUSEWorkerCore
                    do throws(ErrorCode) {
                        core = try FUSEWorkerCore(
                            number: number, channel: channel, slotCount: slotCount, plan: plan,
                            adopted: memory)
                        if memory == nil {
                            try core.registerEntries()
                        } else {
                            try core.adoptEntries(unseen: unseen)
                        }
                    } catch { return made.set(.failure(error)) }
                    made.set(.success(core))
                    guard gate.wait() else { return }
                    FUSEWorker(
                        core: core, handler: handler, decoder: decoder, home: plan?.processor
                    ).run()
                }
                cores.append(try made.wait().get())
                gates.append(gate)
            } catch { failure = error }
        }
        if failure == nil { connection.started(cores) } else { fail() }
        for gate in gates { gate.set(failure == nil) }
        if let failure { throw failure }
        connection.logger.debug(
            "FUSE workers started", metadata: ["ring": "\(cores[0].ring.mode.rawValue)"])
    }
}
