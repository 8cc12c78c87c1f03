"""Programs, LUNs, mounts and labs of the bench; each goes again with the stack that it is on."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("COVOL_BIN_DIR", ROOT / ".build/release")).resolve()
RESULTS = ROOT / ".bench"
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
BLOCK = 4096
PLACES = {"memory": "/dev/shm", "disk": os.environ.get("COVOL_BENCH_DISK", "/var/tmp")}


class Failure(Exception):
    """What ends a run, in words."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*words, timeout=300, check=True, **options):
    """The standard output of a command."""
    words = [str(word) for word in words]
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    try:
        result = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, **options
        )
    except subprocess.TimeoutExpired:
        raise Failure("%s: not over in %d s" % (" ".join(words), timeout)) from None
    if check and result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip())[-1000:]
        raise Failure("%s: status %d: %s" % (" ".join(words), result.returncode, said))
    return result.stdout


def await_true(is_true, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise Failure("%s: not within %d s" % (what, seconds))
        time.sleep(0.05)


@contextlib.contextmanager
def workspace():
    """A stack whose end takes everything away, also after Ctrl-C and SIGTERM, and a folder."""

    def stop(number, frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    if os.geteuid() != 0:
        raise Failure("the bench makes loop devices, mounts and namespaces: run it as root")
    for program in ("covol", "covold", "covol-store"):
        if not os.access(BINARIES / program, os.X_OK):
            raise Failure("no %s in %s: `make release`, or set COVOL_BIN_DIR" % (program, BINARIES))
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="covolume-bench-", dir="/tmp"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield stack, directory


def final(action, what):
    """A clean-up step: what follows it must happen, whatever this one does."""

    def guarded():
        try:
            action()
        except (Failure, OSError) as error:
            say("bench: %s: %s" % (what, error))

    return guarded


class LUN:
    """An image file in memory or on the disk, and the device over it that everybody opens.

    `device` "loop" is a loop device with direct I/O and 4 KiB blocks: a block device, as a LUN is.
    "file" is the image itself. `written` writes the whole image first, so that no first write below
    the LUN is measured."""

    def __init__(self, stack, kind, name, size, device="loop", written=True):
        place = PLACES[kind]
        self.image = tempfile.mktemp(prefix="covolume-bench-%s-" % name, suffix=".img", dir=place)
        free = os.statvfs(place)
        if free.f_bavail * free.f_frsize < size + GIB:
            raise Failure("%s has no room for a LUN of %d MiB" % (place, size // MIB))
        with open(self.image, "xb", buffering=0) as image:
            stack.callback(final(lambda: os.unlink(self.image), "unlink"))
            os.truncate(self.image, size)
            zeros = bytes(4 * MIB)
            for _ in range(size // len(zeros) if written else 0):
                image.write(zeros)
            os.fsync(image.fileno())
        self.size = size
        self.path = self.image
        if device == "loop":
            self.path = attach(stack, self.image)

    def block_device(self, stack):
        """For mount(8), which takes no file."""
        return self.path if self.path != self.image else attach(stack, self.image)

    def mount(self, stack, directory, *options):
        """The file system mounted locally, without Covolume."""
        device = self.block_device(stack)
        run("mkfs.xfs", "-q", "-K", "-f", device)
        return Mount(stack, device, directory, *options)


def attach(stack, image):
    device = run(
        "losetup", "--find", "--show", "--direct-io=on", "--sector-size", BLOCK, image
    ).strip()
    backing = pathlib.Path("/sys/block", os.path.basename(device), "loop/backing_file")

    def is_gone():
        try:
            return image not in backing.read_text()
        except OSError:
            return True

    def detach():
        run("losetup", "--detach", device, check=False)
        await_true(is_gone, "%s is free" % device, seconds=20)

    stack.callback(final(detach, "losetup"))
    if run("losetup", "--noheadings", "--output", "DIO", device).strip() != "1":
        raise Failure("%s over %s does no direct I/O" % (device, image))
    return device


class Mount:
    def __init__(self, stack, device, directory, options="noatime"):
        self.device, self.directory = device, pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.is_mounted = False
        stack.callback(final(self.unmount, "umount"))
        self.mount(options)

    def mount(self, options="noatime"):
        run("mount", "-o", options, self.device, self.directory)
        self.is_mounted = True

    def unmount(self):
        if not self.is_mounted:
            return

        def is_gone():
            run("umount", self.directory, check=False)
            return not os.path.ismount(self.directory)

        try:
            # A server that was killed may still be letting go of its files.
            await_true(is_gone, "%s is unmounted" % self.directory, seconds=20)
        finally:
            if os.path.ismount(self.directory):
                run("umount", "--lazy", self.directory, check=False)
            self.is_mounted = False

    def again(self, options):
        self.unmount()
        self.mount(options)


class Lab:
    """A lab of three nodes, node1 the coordinator of every volume that is added. Its daemons have
    `environment` beside this process's own."""

    def __init__(self, stack, directory, nodes=3, environment={}):
        self.directory = pathlib.Path(directory)
        self.nodes = ["node%d" % (number + 1) for number in range(nodes)]
        stack.callback(final(lambda: self.covol("lab", "down", self.directory), "lab down"))
        run(
            BINARIES / "covol", "lab", "up", self.directory, "--nodes", nodes, "--memory",
            "--size", "300M", "--log-level", "warning", timeout=180,
            env={**os.environ, **environment},
        )  # fmt: skip
        # Its own volume would only idle beside ours.
        self.on("node1", "volume", "remove", "Volume1")

    def covol(self, *words):
        return run(BINARIES / "covol", *words, timeout=180)

    def on(self, node, *words):
        """`covol` on a node."""
        return self.covol("lab", "exec", self.directory, node, "--", "covol", *words)

    def states(self, name):
        rows = json.loads(self.on("node1", "volume", "state", "--json"))
        return [row for row in rows if row["volume"] == name]

    def await_state(self, name, state):
        def holds():
            rows = self.states(name)
            return len(rows) == len(self.nodes) and all(
                row["state"] == state and row["coordinator"] == "node1" for row in rows
            )

        await_true(holds, "%s is %s on every node" % (name, state))

    def add(self, lun, name, adopt=False):
        words = [] if adopt else ["--format"]
        self.on("node1", "volume", "add", lun.path, "--name", name, *words)
        if self.states(name)[0]["coordinator"] != "node1":
            self.on("node1", "volume", "move", name, "--to", "node1")
        self.await_state(name, "Direct")

    def redirect(self, name):
        self.on("node1", "volume", "redirect", name, "--reason", "bench")
        self.await_state(name, "Redirected")

    def volume(self, node, name):
        return self.directory / node / name

    def statistics(self, node, name):
        rows = json.loads(self.on(node, "stats", "--json"))
        return next(row for row in rows if row["node"] == node and row["volume"] == name)

    def process(self, node):
        """The process id of a node's daemon."""
        status = json.loads(self.covol("lab", "status", self.directory, "--json"))
        return next(row["pid"] for row in status["nodes"] if row["name"] == node)


def describe():
    """The machine, in a line."""
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if "model name" in line),
        os.uname().machine,
    )
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return "%d CPUs (%s), %d GiB, Linux %s, %s" % (
        os.cpu_count(), model, round(total), os.uname().release, run("fio", "--version").strip(),
    )  # fmt: skip


def revision():
    text = run("git", "-C", ROOT, "describe", "--always", "--dirty", check=False).strip()
    elsewhere = "" if BINARIES.is_relative_to(ROOT) else ", programs in %s" % BINARIES
    return (text or "unknown") + elsewhere
