/// Fences nodes from a LUN: preempts and aborts their keys, then proves that they are gone.
///
/// Blocks its thread, bounded by the transport's time-outs. With several paths of this node it
/// tries one after the other: a path that failed says nothing about the victims.
public struct ReservationFence: Sendable {
    private let paths: [PersistentReservations]

    /// - Parameter paths: this node's own paths to the LUN, the best first; `own` is registered on
    ///   each.
    public init(paths: [PersistentReservations]) {
        precondition(!paths.isEmpty, "a fence needs a path to the LUN")
        self.paths = paths
    }

    /// Makes sure that nothing any of the victims sent can land any more.
    ///
    /// Proven means: this node's key is registered, the LUN is reserved for all registrants, and no
    /// victim's key is registered. A key that was gone before we came counts as well: PREEMPT AND
    /// ABORT is one uninterrupted action at the target (SPC-4, 5.13.11.2.6), so whoever else took it
    /// away had its commands ended; a node that unregisters has drained first; and a node registers
    /// a new key on a path only when its earlier one has been taken away (registering over it would
    /// abort nothing).
    ///
    /// A victim is fenced from this LUN, not stopped: its machines may still run.
    public func fence(victims: Set<ReservationKey>, own: ReservationKey) -> FenceOutcome {
        precondition(!victims.contains(own), "a node that fences itself")
        var problems: [String] = []
        for path in paths {
            do throws(FenceError) {
                return .proven(try fence(victims.sorted(), own: own, by: path))
            } catch .reservationConflict {
                return .selfFenced(
                    "\(path.name): key \(own) is not registered any more; another node has fenced "
                        + "this one, or the LUN lost its reservations")
            } catch {
                problems.append("\(path.name): \(error)")
            }
        }
        return .notProven(problems.joined(separator: "; "))
    }

    private func fence(
        _ victims: [ReservationKey], own: ReservationKey, by path: PersistentReservations
    ) throws(FenceError) -> String {
        var preempted: [ReservationKey] = []
        for _ in 1...FencingLimits.fenceRoundsMaximum {
            let registered = try path.readKeys().keys
            guard registered.contains(own) else { throw .reservationConflict }
            let left = victims.filter(registered.contains)
            try checkReservation(path, own: own, mayReserve: !left.isEmpty)
            if left.isEmpty { return text(victims, preempted: preempted) }
            for victim in left {
                do throws(FenceError) {
                    try path.preemptAndAbort(own: own, victim: victim)
                    preempted.append(victim)
                } catch .reservationConflict {
                    // Either key is gone: the next round's look at the keys tells which.
                }
            }
        }
        throw .transport(
            "keys of \(victims.map(\.description).joined(separator: ", ")) came back after each "
                + "preemption: their nodes register anew and must be stopped")
    }

    /// Registrations keep nobody out without it, and a target that lost its power may have lost it.
    ///
    /// It may be made anew only while the victims are still to be preempted: then their commands
    /// are aborted after nothing new is let in.
    private func checkReservation(
        _ path: PersistentReservations, own: ReservationKey, mayReserve: Bool
    ) throws(FenceError) {
        let found = try path.readReservation()
        if found?.kind == PersistentReservations.kind { return }
        if found == nil, mayReserve { return try path.reserve(own) }
        let what = found.map { "reserved as \"\($0.kind)\"" } ?? "not reserved"
        throw .reservedByOthers(
            "the LUN is \(what), so a node without a key is not kept from writing")
    }

    private func text(_ victims: [ReservationKey], preempted: [ReservationKey]) -> String {
        let done = victims.map { victim in
            "\(victim) \(preempted.contains(victim) ? "preempted and aborted" : "was gone")"
        }
        return done.isEmpty
            ? "no keys to take away" : done.joined(separator: ", ") + "; keys read back"
    }
}
