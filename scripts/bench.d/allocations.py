"""Heap allocations of a daemon for each request of the data path, against committed thresholds."""

import json
import pathlib
import struct
import time

import growth
import loads
from machine import GIB, KIB, LUN, MIB, RESULTS, Failure, Lab, describe, revision, run, say, workspace
from report import table

HERE = pathlib.Path(__file__).parent
THRESHOLDS = HERE / "allocations.json"
# A file, its size and its extents' length.
FILES = {"contiguous": (512 * MIB, 512 * MIB), "fragmented": (256 * MIB, 16 * KIB)}
# Requests of a run, but no more bytes than these: enough that what the daemon does anyhow does not show.
OPERATIONS, BYTES_MAXIMUM = 20_000, 4 * GIB
CASES = ["randread-4k-qd32", "randwrite-4k-qd32", "randread-64k-qd8", "randwrite-64k-qd8",
         "read-1m-qd8", "write-1m-qd8", "randread-4k-qd1", "randwrite-4k-qd1"]  # fmt: skip
NODES = {"coordinator": "node1", "remote": "node2"}


class Counter:
    """What the daemons of a lab have allocated since they began."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder

    def of(self, node):
        return struct.unpack("=Q", (self.folder / str(self.lab.process(node))).read_bytes())[0]


def load(target, case, size, seed):
    """The number of its requests. At random places all of them: at the end of a sequential pass fio
    opens the file anew, and with random ones after each of its lengths."""
    count = min(OPERATIONS, BYTES_MAXIMUM // case.size_bytes)
    words = loads.fio_words(target, case, 60, size, seed, first=True)
    words += ["--rw=rand" + case.rw.removeprefix("rand"), "--norandommap",
              "--io_size=%d" % (count * case.size_bytes)]  # fmt: skip
    result = json.loads(run(*words, timeout=120))["jobs"][0]
    return result["read"]["total_ios"] + result["write"]["total_ios"]


def measure(counter, node, target, case, size, seed):
    """Allocations for each request, without what the daemon allocates in that time anyhow, and with the
    file's map there: it is kept as long as somebody has the file open."""
    with open(target, "rb"):
        load(target, case, size, seed)
        begin, before = time.monotonic(), counter.of(node)
        time.sleep(2)
        idle = (counter.of(node) - before) / (time.monotonic() - begin)
        begin, before = time.monotonic(), counter.of(node)
        requests = load(target, case, size, seed + 1)
        made = counter.of(node) - before - idle * (time.monotonic() - begin)
    return max(0.0, made / requests)


def allocations(options):
    RESULTS.mkdir(exist_ok=True)
    thresholds = json.loads(THRESHOLDS.read_text())
    rows, beyond = [], []
    with workspace() as (stack, directory):
        library = directory / "counting.so"
        run("gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-o", library, HERE / "counting.c")  # fmt: skip
        counts = directory / "counts"
        counts.mkdir()
        lun = LUN(stack, options.luns[0], "covolume", 2 * GIB, options.device)
        local = lun.mount(stack, directory / "local")
        for name, (size, piece) in FILES.items():
            growth.fragment(local.directory, name, size, piece)
        local.unmount()
        lab = Lab(stack, directory / "lab", environment={
            "LD_PRELOAD": str(library), "COVOL_ALLOCATIONS": str(counts),
        })  # fmt: skip
        lab.add(lun, "Bench", adopt=True)
        counter = Counter(lab, counts)
        for name, (size, _) in FILES.items():
            for case in (loads.BY_NAME[name] for name in CASES):
                for path, node in NODES.items():
                    target = lab.volume(node, "Bench") / name
                    seen = measure(counter, node, target, case, size, len(rows) + 1)
                    most = thresholds[name][case.name]
                    rows.append([name, case.name, path, "%.3f" % seen, "%g" % most])
                    say("allocations: " + " ".join(rows[-1]))
                    if seen > most:
                        beyond.append("%s %s %s: %.3f, not %g" % (name, case.name, path, seen, most))
    lines = table(["file", "case", "path", "allocations a request", "at most"], rows) + [
        "%s, revision %s. Machine: %s." % (
            time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), revision(), describe(),
        )
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    (RESULTS / "allocations.md").write_text(text)
    print(text)
    if beyond:
        raise Failure("more allocations than allocations.json allows: " + "; ".join(beyond))
