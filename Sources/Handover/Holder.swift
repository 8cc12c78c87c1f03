import CLinux
import Glibc
import VolumeModel

/// Keeps the descriptors of a node's FUSE mounts, and the memory that belongs to them, while its daemon
/// is away. It knows nothing of what it keeps but that the first descriptor is one of /dev/fuse. One
/// thread, no state on disk: with the holder and the daemon both gone, the kernel ends the connections.
public struct Holder {
    struct Held {
        var message: HolderMessage
        var descriptors: [Int32]
        /// The connection of the daemon that serves it; -1 for none.
        var owner: Int32
        /// When its requests have waited long enough without an owner (CLOCK_MONOTONIC).
        var deadlineSeconds = 0
    }

    static let connectionsMaximum = 16
    static let mountsMaximum = 128
    private static let idleSeconds = 3

    let listener: Int32
    let graceSeconds: Int
    var connections: [Int32] = []
    var held: [String: Held] = [:]

    /// Listens at `path`, in a directory of the daemon's. EAGAIN: another holder does.
    /// - Parameter graceSeconds: how long a mount without a daemon is kept before it is aborted.
    public init(path: String, graceSeconds: Int) throws(ErrorCode) {
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw ErrorCode(errno) }
        // The lock says that nobody listens there. It is kept until the process ends.
        unlink(path)
        listener = covol_handover_listen(path, Int32(Self.connectionsMaximum))
        guard listener >= 0 else { throw ErrorCode(-listener) }
        self.graceSeconds = graceSeconds
    }

    /// Serves until nobody is connected and nothing is kept, for a while.
    public mutating func run() {
        var idleSince = Self.nowSeconds
        while true {
            if !connections.isEmpty || !held.isEmpty { idleSince = Self.nowSeconds }
            if Self.nowSeconds > idleSince + Self.idleSeconds { return }
            var polled = ([listener] + connections).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            if connections.count == Self.connectionsMaximum { polled[0].events = 0 }
            let waits = connections.isEmpty || held.values.contains { $0.owner < 0 }
            _ = poll(&polled, nfds_t(polled.count), waits ? 500 : -1)
            for socket in polled.dropFirst() where socket.revents != 0 { serve(socket.fd) }
            if polled[0].revents != 0 { accept() }
            abandon()
        }
    }

    private mutating func accept() {
        var user: UInt32 = 0
        let socket = covol_handover_accept(listener, &user)
        guard socket >= 0 else { return }
        guard user == geteuid() else {
            log("a connection of user \(user) was refused")
            close(socket)
            return
        }
        connections.append(socket)
    }

    private mutating func serve(_ socket: Int32) {
        guard let (message, descriptors) = HolderSocket.receive(from: socket) else {
            return end(socket)
        }
        let name = message.name
        var answer = HolderMessage(.done, name: name)
        var given: [Int32] = []
        switch message.kind {
        case .keep:
            let known = held[name]
            let isFree = known.map { $0.owner < 0 || $0.owner == socket }
            if !descriptors.isEmpty, isFree ?? (held.count < Self.mountsMaximum) {
                forget(name)
                held[name] = Held(message: message, descriptors: descriptors, owner: socket)
            } else {
                for descriptor in descriptors { close(descriptor) }
                answer.kind = .refused
            }
        case .take:
            // One that another connection serves is not given: two would answer it.
            if let mount = held[name], mount.owner < 0 || mount.owner == socket {
                answer.record = mount.message.record
                given = mount.descriptors
                held[name]?.owner = socket
            } else {
                answer.kind = .refused
            }
        case .drop:
            if let mount = held[name], mount.owner == socket || mount.owner < 0 { forget(name) }
        case .list:
            let names = held.filter { $0.value.owner < 0 }.keys.sorted()
            answer.record = names.flatMap { Array($0.utf8) + [0] }
        case .done, .refused: answer.kind = .refused
        }
        if HolderSocket.send(answer, given, to: socket, waits: false) != 0 { end(socket) }
    }

    /// The daemon went, or broke the rules.
    private mutating func end(_ socket: Int32) {
        connections.removeAll { $0 == socket }
        close(socket)
        for name in held.keys where held[name]?.owner == socket {
            held[name]?.owner = -1
            held[name]?.deadlineSeconds = Self.nowSeconds + graceSeconds + 1
            log("\(name): its daemon is gone; kept for \(graceSeconds) s")
        }
    }

    private mutating func forget(_ name: String) {
        guard let mount = held.removeValue(forKey: name) else { return }
        for descriptor in mount.descriptors { close(descriptor) }
    }

    /// What no daemon came for fails, instead of hanging for ever.
    private mutating func abandon() {
        for (name, mount) in held where mount.owner < 0 {
            // Unmounted or aborted: POLLERR. The number may be another connection's by now.
            var device = pollfd(fd: mount.descriptors[0], events: 0, revents: 0)
            let isOver = poll(&device, 1, 0) == 1 && device.revents & Int16(POLLERR) != 0
            guard isOver || mount.deadlineSeconds <= Self.nowSeconds else { continue }
            log("\(name): \(isOver ? "its connection is over" : "no daemon came: given up")")
            // The last descriptor of a connection: its end aborts it.
            forget(name)
        }
    }

    private static var nowSeconds: Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec
    }

    private func log(_ text: String) {
        let line = "covol-holder: \(text)\n"
        _ = write(2, line, line.utf8.count)
    }
}
