import FUSE
import Glibc
import VolumeMount

extension VolumeInstance {
    /// Tells of requests that were lost with the process before; where some still wait, the mount ends.
    func watchForLostRequests(_ mount: VolumeMount) async {
        let triedAgain = mount.requestsTriedAgain
        if triedAgain > 0 {
            context.events.note(
                .requestsLost, .warning, volume: record.name, cause: "the daemon before ended",
                outcome: "programs were told to try again",
                "\(triedAgain) requests to \(record.name) on \(context.node) were lost with the daemon "
                    + "that ended, and answered with EAGAIN")
        }
        var watch = FUSELostRequestWatch()
        while !Task.isCancelled {
            let count = (try? await Blocking.run { mount.requestsWithNobody() }) ?? nil
            if let verdict = watch.look(count) { return await act(on: verdict) }
            try? await Task.sleep(for: FUSELostRequestWatch.interval)
        }
    }

    private func act(on verdict: FUSELostRequestWatch.Verdict) async {
        switch verdict {
        case .none: break
        case .unknown:
            log.warning(
                """
                whether requests were lost with the daemon before could not be told: the volume was too \
                busy, or its path hangs
                """)
        case .lost(let count):
            context.events.note(
                .requestsLost, .error, volume: record.name, cause: "the daemon before ended",
                outcome: "the daemon starts anew, and files that were open fail",
                "\(count) requests to \(record.name) on \(context.node) were lost with the daemon that "
                    + "ended, and wait for ever: the mount ends, and machines on it are booted again"
            )
            // The event is on its way to the store; the log has it in any case.
            try? await Task.sleep(for: .seconds(1))
            // Not only by the holder's hand: the next process must not find it.
            do { try mount?.abort() } catch {
                log.error("the mount could not be ended", metadata: ["error": "\(error)"])
            }
            startAnew()
        }
    }

    /// This life holds what cannot be served any more: it ends here, and the next process, which finds
    /// nothing to go on with, has it fenced.
    func startAnew() -> Never {
        context.keeper.dropAll()
        exit(EX_TEMPFAIL)
    }
}
