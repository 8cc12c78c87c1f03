import Glibc

@testable import LabKit

/// Programs that stand in for covol, covold and covol-store, so that the lab is tested for what
/// it does itself.
enum StandIn {
    /// How the stand-in for covold shows its volume.
    enum Daemon: String {
        /// A tmpfs, which stays when the daemon ends.
        case mounted
        /// A FUSE mount that never answers.
        case hung
        /// Ends at once, with a word in its log.
        case broken
        /// Ignores SIGTERM.
        case stubborn
    }

    static func binaries(in directory: String, daemon: Daemon) throws(LabError) -> LabBinaries {
        let binaries = LabBinaries(directory: directory)
        try write(store, to: binaries.covolStore)
        try write(
            self.daemon.replacing("@KIND@", with: daemon.rawValue), to: binaries.covold)
        try write(covol, to: binaries.covol)
        if let simulator { symlink(simulator, binaries.covolLUN) }
        return binaries
    }

    /// The real covol-lun, where it is built: nothing stands in for that one.
    static let simulator = LabBinaries.candidates(environment: Command.callerEnvironment)
        .map { $0 + "/covol-lun" }.first { access($0, X_OK) == 0 }

    static func write(_ script: String, to path: String) throws(LabError) {
        let text = script.hasPrefix("#!") ? script : "#!/bin/sh\n" + script + "\n"
        try SystemFile.replace(path, with: Array(text.utf8))
        guard chmod(path, 0o755) == 0 else { throw LabError.system("chmod", path) }
    }

    private static let store = """
        #!/usr/bin/env python3
        import socket, sys, time
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[sys.argv.index("--socket") + 1])
        listener.listen()
        print("starting\\nready", flush=True)
        while True:
            time.sleep(60)
        """

    private static let daemon = """
        #!/usr/bin/env python3
        import ctypes, json, os, signal, socket, sys, time
        kind = "@KIND@"
        config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
        if kind == "broken":
            sys.exit("the stand-in is broken on purpose")
        if kind == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        peers = socket.create_server(("", 7400))
        point = config["root"] + "/Volume1"
        os.makedirs(point, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        def mount(source, type, options):
            if libc.mount(source, point.encode(), type, 0, options) != 0:
                sys.exit("mount: " + os.strerror(ctypes.get_errno()))
        if kind == "hung":
            fuse = os.open("/dev/fuse", os.O_RDWR)
            mount(b"covolume", b"fuse.covolume",
                  b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse)
        else:
            mount(b"covolume", b"tmpfs", b"size=1m")
        api = socket.socket(socket.AF_UNIX)
        if os.path.exists(config["socket"]):
            os.unlink(config["socket"])
        api.bind(config["socket"])
        api.listen()
        print("up", flush=True)
        while True:
            time.sleep(60)
        """

    private static let covol = """
        #!/usr/bin/env python3
        import json, os, subprocess, sys
        lab = os.path.dirname(os.environ["COVOL_VOLUMES"])
        record = json.load(open(lab + "/lab.json"))
        words = sys.argv[1:]
        if words[:2] == ["volume", "add"]:
            tool = {"xfs": ["mkfs.xfs", "-q", "-f"], "ext4": ["mkfs.ext4", "-q", "-F"]}
            name = words[words.index("--filesystem") + 1]
            subprocess.run(tool[name] + [words[2]], check=True)
        elif words == ["volume", "state", "--json"]:
            print(json.dumps([
                {"volume": "Volume1", "node": "node%d" % (number + 1), "coordinator": "node1",
                 "state": "Direct", "reason": None}
                for number in range(record["options"]["nodes"])]))
        else:
            sys.exit("the stand-in knows no %s" % words)
        """
}
