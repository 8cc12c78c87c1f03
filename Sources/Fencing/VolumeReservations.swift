/// The persistent reservations of one LUN by all of this node's paths to it.
///
/// Registrations belong to a path (an I_T nexus), so the node's key is registered on each, before
/// the path's first use. Blocks its thread; may be called from any.
public struct VolumeReservations: Sendable {
    public let paths: [PersistentReservations]

    public init(paths: [PersistentReservations]) {
        precondition(!paths.isEmpty, "a LUN has a path")
        self.paths = paths
    }

    /// The SCSI devices below `device` that answer now: itself, or the paths of a dm-multipath device.
    ///
    /// - Throws: `unsupported` where one of them takes no SCSI commands; `transport` or `timedOut`
    ///   where none of them answers.
    public static func ofDevice(_ device: String) throws(FenceError) -> VolumeReservations {
        try ofDevices(try PathDevices.below(device)) { path throws(FenceError) in
            PersistentReservations(try SGIOTransport(device: path))
        }
    }

    /// A dead path of several is left out. When it comes back it has no key: its first I/O ends as a
    /// reservation conflict, and the node looks at all of them again.
    static func ofDevices(
        _ devices: [String], open: (String) throws(FenceError) -> PersistentReservations
    ) throws(FenceError) -> VolumeReservations {
        var paths: [PersistentReservations] = []
        var lastProblem: FenceError?
        for device in devices {
            do throws(FenceError) {
                let path = try open(device)
                try check(path)
                paths.append(path)
            } catch {
                switch error {
                case .transport, .timedOut: lastProblem = error
                default: throw error
                }
            }
        }
        if paths.isEmpty { throw lastProblem ?? .unsupported("the LUN has no path") }
        return VolumeReservations(paths: paths)
    }

    /// Whether this LUN can be fenced with persistent reservations; throws why not.
    public func check() throws(FenceError) {
        for path in paths { try Self.check(path) }
    }

    private static func check(_ path: PersistentReservations) throws(FenceError) {
        let capabilities = try path.readCapabilities()
        if let kinds = capabilities.kinds, !kinds.contains(PersistentReservations.kind) {
            throw .unsupported(
                "\(path.name): the target has no reservation of type "
                    + "\"\(PersistentReservations.kind)\"")
        }
    }

    /// What an attachment came to.
    public struct Attachment: Sendable, Equatable {
        /// What the operator should know: paths without persistence over a loss of power.
        public let warnings: [String]
        /// Why the reservations are no fence all the same; nil where they are one.
        public let fenceProblem: String?
    }

    /// Registers `key` on every path, reserves the LUN, and looks whether others can be fenced.
    ///
    /// - Throws: where any path could not be registered: its I/O would end as a reservation
    ///   conflict.
    public func attach(_ key: ReservationKey) throws(FenceError) -> Attachment {
        var warnings: [String] = []
        for path in paths {
            if let problem = try path.register(key).problem { warnings.append(problem) }
        }
        try paths[0].reserve(key)
        do throws(FenceError) {
            for path in paths { try path.checkPreemptAndAbort(own: key) }
        } catch .unsupported(let problem) {
            return Attachment(warnings: warnings, fenceProblem: problem)
        }
        return Attachment(warnings: warnings, fenceProblem: nil)
    }

    /// Whether `key` is registered on every path. READ KEYS lists a key once for each I_T nexus that has
    /// it (SPC-4, 6.15.2), and no key is given to two nodes.
    public func isRegistered(_ key: ReservationKey) throws(FenceError) -> Bool {
        try paths[0].readKeys().keys.count { $0 == key } >= paths.count
    }

    /// Ends the registrations. The paths must have drained: nothing aborts what is under way.
    public func detach(_ key: ReservationKey) throws(FenceError) {
        for path in paths { try path.unregister(key) }
    }

    /// The fence of this LUN, which tries these paths in turn.
    public var fence: ReservationFence { ReservationFence(paths: paths) }
}
