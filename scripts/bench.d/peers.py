"""Other systems on the same kind of LUN, where they are installed."""

import os
import pathlib
import shutil

from machine import Failure, await_true, final, run


class NTFS3G:
    """NTFS by FUSE: a file system of one node, with none of the cluster's work."""

    name = "ntfs-3g"
    programs = ["ntfs-3g", "mkntfs"]

    def __init__(self, stack, directory, lun):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        device = lun.block_device(stack)
        run("mkntfs", "--quick", "--force", "--quiet", device)
        stack.callback(final(self.unmount, "umount"))
        run("ntfs-3g", "-o", "big_writes,noatime", device, self.directory)

    def unmount(self):
        if os.path.ismount(self.directory):
            run("umount", self.directory)


class Gluster:
    """One server with one brick, an XFS on the LUN, and one client; its defaults, but direct I/O
    all the way. It lives in a network namespace, so that it meets no other Gluster."""

    name = "GlusterFS"
    programs = ["glusterd", "glusterfsd", "glusterfs", "gluster"]
    address = "10.255.255.1"

    def __init__(self, stack, directory, lun):
        base = pathlib.Path(directory)
        base.mkdir()
        self.brick = lun.mount(stack, base / "brick-lun")
        self.directory = base / "mount"
        self.directory.mkdir()
        self.namespace = "covolume-bench-%d" % os.getpid()
        stack.callback(final(self.stop, "GlusterFS"))
        run("ip", "netns", "add", self.namespace)
        self.inside("ip", "link", "set", "lo", "up")
        # A bridge without ports holds the address: loopback addresses are refused for bricks.
        self.inside("ip", "link", "add", "brick0", "type", "bridge")
        self.inside("ip", "address", "add", self.address + "/24", "dev", "brick0")
        self.inside("ip", "link", "set", "brick0", "up")
        self.serve(base)
        volume = ["gluster", "--mode=script", "volume"]
        brick = "%s:%s/brick" % (self.address, self.brick.directory)
        self.inside(*volume, "create", "bench", brick, "force")
        self.inside(*volume, "set", "bench", "network.remote-dio", "disable")
        self.inside(*volume, "set", "bench", "performance.strict-o-direct", "on")
        self.inside(*volume, "start", "bench")
        self.inside(
            "glusterfs", "--volfile-server=" + self.address, "--volfile-id=bench",
            "--direct-io-mode=enable", "--log-file=%s/client.log" % base, self.directory,
        )  # fmt: skip
        await_true(lambda: os.path.ismount(self.directory), "GlusterFS is mounted")

    def serve(self, base):
        volfile = base / "glusterd.vol"
        volfile.write_text(
            "volume management\n    type mgmt/glusterd\n"
            "    option working-directory %s/state\n    option run-directory %s/run\n"
            "    option transport-type socket\n    option transport.address-family inet\n"
            "end-volume\n" % (base, base)
        )
        for name in ("state", "run"):
            (base / name).mkdir()
        self.inside(
            "glusterd", "--volfile=%s" % volfile, "--pid-file=%s/glusterd.pid" % base,
            "--log-file=%s/glusterd.log" % base,
        )  # fmt: skip

        def answers():
            try:
                self.inside("gluster", "--mode=script", "volume", "list")
                return True
            except Failure:
                return False

        await_true(answers, "glusterd answers")

    def inside(self, *words):
        # Not `ip netns exec`: its mount namespace would hide the client's mount.
        return run("nsenter", "--net=/run/netns/" + self.namespace, *words)

    def stop(self):
        if os.path.ismount(self.directory):
            run("umount", self.directory)
        processes = run("ip", "netns", "pids", self.namespace, check=False).split()
        run("kill", "-KILL", *processes, check=False)
        await_true(
            lambda: not run("ip", "netns", "pids", self.namespace, check=False).split(),
            "GlusterFS ended",
        )
        run("ip", "netns", "delete", self.namespace)


PEERS = [Gluster, NTFS3G]


def find(wanted=True):
    """Those that are installed, and a line on each that is not."""
    present, absent = [], []
    for peer in PEERS:
        missing = [name for name in peer.programs if not shutil.which(name)]
        if missing or not wanted:
            why = "not asked for" if not wanted else "no %s on this machine" % ", ".join(missing)
            absent.append("%s (%s)" % (peer.name, why))
        else:
            present.append(peer)
    return present, absent
