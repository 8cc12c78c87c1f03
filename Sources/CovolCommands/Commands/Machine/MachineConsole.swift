import ArgumentParser
import Foundation
import Management

/// `covol vm console NAME`
struct MachineConsole: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "console",
        abstract: "Use a running virtual machine's serial console.",
        discussion: """
            Give it on the node that runs the machine (covol vm show tells). Ctrl-] ends it. One at a \
            time can use a console.

            Example:
              covol vm console web
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateMachineName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let machine = try await backend.machine(named: name)
        guard let node = machine.node else {
            throw ManagementError.conflict("\(name) is off; covol vm start \(name) starts it")
        }
        guard let path = machine.console else {
            throw ManagementError.conflict("\(name) runs on \(node): give this command there")
        }
        output.error("the console of \(name) on \(node); Ctrl-] ends it")
        try ConsoleSession(path: path).run()
    }
}

/// Carries bytes between the terminal and a console's socket until Ctrl-] or the socket's end.
struct ConsoleSession {
    private static let escape: UInt8 = 0x1d
    let path: String

    func run() throws {
        let socket = try connect()
        defer { close(socket) }
        var saved = termios()
        let isTerminal = tcgetattr(0, &saved) == 0
        if isTerminal {
            var raw = saved
            cfmakeraw(&raw)
            tcsetattr(0, TCSANOW, &raw)
        }
        defer { if isTerminal { tcsetattr(0, TCSANOW, &saved) } }
        var polls = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
        ]
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            guard poll(&polls, 2, -1) >= 0 || errno == EINTR else { return }
            if polls[1].revents != 0 {
                let count = read(socket, &bytes, bytes.count)
                guard count > 0 else { return }
                try write(bytes[..<count], to: 1)
            }
            if polls[0].revents != 0 {
                let count = read(0, &bytes, bytes.count)
                guard count > 0 else {
                    // Without more to say it still listens.
                    polls[0].fd = -1
                    continue
                }
                let typed = bytes[..<count].prefix { $0 != Self.escape }
                try write(typed, to: socket)
                if typed.count < count { return }
            }
        }
    }

    private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw ManagementError.unavailable("the console went away") }
            rest = rest.dropFirst(count)
        }
    }

    private func connect() throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else {
            throw ManagementError.unavailable("the console's path is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard descriptor >= 0, result == 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            throw ManagementError.unavailable("the console at \(path) cannot be used: \(reason)")
        }
        return descriptor
    }
}
