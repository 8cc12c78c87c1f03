"""How cost grows: with nodes, extents, directory entries, open files; and what idling costs."""

import contextlib
import ctypes
import mmap
import os
import statistics
import subprocess
import sys
import threading
import time

import loads
from loads import BY_NAME
from machine import (
    BLOCK, GIB, MIB, LUN, RESULTS, Failure, Lab, describe, revision, run, say, workspace,
)  # fmt: skip
from report import number, span, table

PARTS = ["nodes", "extents", "directories", "memory", "idle"]
NODE_CASES = ["randread-4k-qd32", "randwrite-4k-qd32", "read-1m-qd8", "write-1m-qd8"]
EXTENT_CASES = ["randread-4k-qd32", "randwrite-4k-qd32", "read-1m-qd8"]
EXTENTS = [1, 1000, int(os.environ.get("COVOL_BENCH_EXTENTS", 1_000_000))]
ENTRIES = [10, 10_000, int(os.environ.get("COVOL_BENCH_ENTRIES", 200_000))]
OPEN_FILES = int(os.environ.get("COVOL_BENCH_OPEN_FILES", 10_000))
IMAGES = 100
LEAST_FILE = GIB

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def allocate(descriptor, offset, length):
    if libc.fallocate(descriptor, 0, offset, length) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def together(places, case, seconds):
    """fio at once on each of these, paths and offsets, with what it says of each."""
    results = [None] * len(places)

    def body(index):
        try:
            path, offset = places[index]
            results[index] = loads.steady(path, case, seconds, index + 1, offset=offset)
        except Failure as error:
            results[index] = error

    threads = [threading.Thread(target=body, args=(index,)) for index in range(len(places))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Failure):
            raise result
    return results


def nodes(options):
    """One, two and three nodes at once on one LUN, each with a file of its own; beside it as many
    programs on a raw LUN, each with a region of its own."""
    rows = []
    for kind in options.luns:
        with workspace() as (stack, directory):
            raw = LUN(stack, kind, "raw", 3 * loads.FILE_SIZE, options.device)
            regions = [(raw.path, index * loads.FILE_SIZE) for index in range(3)]
            shared = LUN(stack, kind, "covolume", 3 * GIB, options.device)
            lab = Lab(stack, directory / "lab")
            lab.add(shared, "Bench")
            files = []
            for node in lab.nodes[1:] + lab.nodes[:1]:
                files.append((lab.volume(node, "Bench") / ("bench-" + node), 0))
                loads.write_file(files[-1][0], loads.FILE_SIZE)
            for name in NODE_CASES:
                for count in (1, 2, 3):
                    figures = {"raw": [], "covolume": []}
                    for _ in range(options.rounds):
                        for path, places in (("raw", regions), ("covolume", files)):
                            each = together(places[:count], BY_NAME[name], options.seconds)
                            figures[path].append([result["iops"] for result in each])
                    sums = {path: [sum(one) for one in all_] for path, all_ in figures.items()}
                    ratio = statistics.median(
                        mine / theirs for mine, theirs in zip(sums["covolume"], sums["raw"])
                    )
                    spread = max(max(one) / min(one) for one in figures["covolume"])
                    rows.append([
                        kind, name, str(count), number(statistics.median(sums["raw"])) + "/s",
                        number(statistics.median(sums["covolume"])) + "/s", "%.2f" % ratio,
                        "%.2f" % spread,
                    ])  # fmt: skip
                    say("nodes: " + " ".join(rows[-1]))
    head = ["LUN", "case", "nodes", "raw", "covolume", "ratio", "fastest to slowest node"]
    return [
        "**Nodes at once on one LUN**, each with its own file of 512 MiB (the third is the "
        "coordinator's); beside it as many programs on a raw LUN, on the same processors.", "",
    ] + table(head, rows)  # fmt: skip


def fragment(directory, name, size, piece):
    """A file whose neighbours are another's: two files are allocated piece by piece in turn, and
    one is then written. The other stays: what it left free would be the next file's."""
    path, filler = directory / name, directory / (name + "-filler")
    with open(path, "xb") as kept, open(filler, "xb") as between:
        for file in (kept, between):
            os.truncate(file.fileno(), size)
        if piece >= size:
            allocate(kept.fileno(), 0, size)
        else:
            for offset in range(0, size, piece):
                allocate(kept.fileno(), offset, piece)
                allocate(between.fileno(), offset, piece)
                if offset // piece % 100_000 == 99_999:
                    say("extents: %d of %d made" % (offset // piece + 1, size // piece))
    data = os.urandom(MIB)
    with open(path, "r+b", buffering=0) as file:
        for offset in range(0, size, MIB):
            file.write(data)
        os.fsync(file.fileno())


def resident(process):
    """The anonymous memory of a process, which is not that of its program."""
    with open("/proc/%d/status" % process) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def extents(options):
    """4 KiB at random in files of few and many extents, once every piece of the map is there."""
    kind = options.luns[0]
    rows, found = [], {}
    with workspace() as (stack, directory):
        sizes = [max(LEAST_FILE, -(-count * BLOCK // MIB) * MIB) for count in EXTENTS]
        lun = LUN(
            stack, kind, "covolume", 2 * sum(sizes) + 2 * GIB, options.device,
            written=False,
        )  # fmt: skip
        local = lun.mount(stack, directory / "local")
        for count, size in zip(EXTENTS, sizes):
            piece = size // count // BLOCK * BLOCK
            name = "extents-%d" % count
            fragment(local.directory, name, size, piece)
            found[count] = int(run("filefrag", local.directory / name).split()[-3])
            say("extents: %d wanted, %d there" % (count, found[count]))
            if not count / 2 <= found[count] <= count * 2 + 8:
                raise Failure("%s has %d extents" % (name, found[count]))
        local.unmount()
        lab = Lab(stack, directory / "lab")
        lab.add(lun, "Bench", adopt=True)
        daemon = lab.process("node2")
        loaded, grown, runs = {}, {}, {}
        # Open throughout, so that the maps stay.
        with contextlib.ExitStack() as held:
            for count, size in zip(EXTENTS, sizes):
                path = lab.volume("node2", "Bench") / ("extents-%d" % count)
                file = held.enter_context(open(path, "rb", buffering=0, opener=open_direct))
                before, begin = resident(daemon), time.monotonic()
                touch(file.fileno(), size)
                loaded[count], grown[count] = time.monotonic() - begin, resident(daemon) - before
            for turn in range(options.rounds):
                for name in EXTENT_CASES:
                    for count, size in zip(EXTENTS, sizes):
                        path = lab.volume("node2", "Bench") / ("extents-%d" % count)
                        # The first GiB, which is the whole of the others; and the whole.
                        for part in sorted({LEAST_FILE, size}):
                            result = loads.steady(
                                path, BY_NAME[name], options.seconds, turn + 1, part
                            )
                            runs.setdefault((count, name, part), []).append(result["iops"])
        for (count, name, part), speeds in sorted(runs.items()):
            first = runs[EXTENTS[0], name, LEAST_FILE]
            ratios = [mine / theirs for mine, theirs in zip(speeds, first)]
            rows.append([
                number(found[count]), name, "%.1f GiB" % (part / GIB),
                number(statistics.median(speeds)) + "/s",
                "%.2f%s" % (statistics.median(ratios), span(ratios)), "%.2f s" % loaded[count],
                "%.0f" % (grown[count] / found[count]) if found[count] > 10_000 else "-",
            ])  # fmt: skip
            say("extents: " + " ".join(rows[-1]))
    head = ["extents", "case", "of it", "speed", "to one extent", "map loaded in", "bytes each"]
    return [
        "**Extents**, %s-backed LUN, a node that is not the coordinator. The map is loaded by "
        "reading 4 KiB in each MiB, one after another; \"bytes each\": what the node's daemon grew "
        "by." % kind,
        "",
    ] + table(head, rows)  # fmt: skip


def open_direct(path, flags):
    return os.open(path, flags | os.O_DIRECT)


def touch(descriptor, size):
    buffer = mmap.mmap(-1, BLOCK)
    for offset in range(0, size, MIB):
        os.preadv(descriptor, [buffer], offset)


def fill(directory, count, data=b""):
    directory.mkdir()
    for index in range(count):
        with open(directory / ("entry-%06d" % index), "xb", buffering=0) as file:
            if data:
                file.write(data)


def directories(options):
    """A folder of few and many entries, on the local file system first, and then as a volume."""
    kind = options.luns[0]
    figures = {}
    with workspace() as (stack, directory):
        lun = LUN(stack, kind, "covolume", 2 * GIB, options.device)
        local = lun.mount(stack, directory / "local")
        for count in ENTRIES:
            fill(local.directory / ("entries-%d" % count), count)
            say("directories: %d entries made" % count)
        local.again("noatime")

        def look(path, where):
            for count in ENTRIES:
                folder = where / ("entries-%d" % count)
                figures[path, count] = loads.work(
                    "directory", folder, options.seconds, timeout=600
                )
                say("directories: %s, %d entries: %s" % (path, count, "  ".join(
                    "%s %s/s" % (what, number(one["iops"]))
                    for what, one in figures[path, count].items()
                )))  # fmt: skip

        look("local", local.directory)
        local.unmount()
        lab = Lab(stack, directory / "lab")
        lab.add(lun, "Bench", adopt=True)
        for path, node in (("coordinator", "node1"), ("remote", "node2")):
            look(path, lab.volume(node, "Bench"))
    columns = [(path, count) for path in ("local", "coordinator", "remote") for count in ENTRIES]
    kinds = list(figures[columns[0]])
    return [
        "**Directories**, %s-backed LUN: entries or operations a second, one process." % kind, "",
    ] + table(
        ["what"] + ["%s, %s entries" % (path, number(count)) for path, count in columns],
        [[what] + [number(figures[key][what]["iops"]) for key in columns] for what in kinds],
    )  # fmt: skip


class Holder:
    """A program that holds files open."""

    def __init__(self, stack, directory, count, *words):
        self.process = subprocess.Popen(
            [sys.executable, loads.WORK, "hold", str(directory), str(count), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(self.end)
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            raise Failure("the program that holds files open ended")
        self.count = int(line[1])

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                self.process.kill()


def memory(options):
    """What a file costs that is open with its map, on its node and on the coordinator's."""
    kind = options.luns[0]
    with workspace() as (stack, directory):
        lun = LUN(stack, kind, "covolume", 2 * GIB, options.device)
        local = lun.mount(stack, directory / "local")
        fill(local.directory / "files", OPEN_FILES, bytes(BLOCK))
        local.unmount()
        lab = Lab(stack, directory / "lab")
        lab.add(lun, "Bench", adopt=True)
        daemons = {name: lab.process(name) for name in ("node1", "node2")}
        folder = lab.volume("node2", "Bench") / "files"
        os.listdir(folder)
        before = {name: resident(process) for name, process in daemons.items()}
        begin = time.monotonic()
        holder = Holder(stack, folder, OPEN_FILES)
        taken = time.monotonic() - begin
        during = {name: resident(process) for name, process in daemons.items()}
        holder.end()
        time.sleep(2)
        after = {name: resident(process) for name, process in daemons.items()}
    rows = [
        [
            "its own" if name == "node2" else "the coordinator's",
            "%.1f MiB" % (before[name] / MIB), "%.1f MiB" % (during[name] / MIB),
            "%.1f MiB" % (after[name] / MIB),
            "%.0f" % ((during[name] - before[name]) / holder.count),
        ]
        for name in ("node2", "node1")
    ]  # fmt: skip
    for row in rows:
        say("memory: " + " ".join(row))
    return [
        "**Memory of %d open files**, each with one block read (opened in %.1f s): anonymous "
        "memory of the daemons." % (holder.count, taken), "",
    ] + table(["node", "before", "open", "closed again", "bytes a file"], rows)  # fmt: skip


def processor_seconds(process):
    with open("/proc/%d/stat" % process) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(options):
    """What the daemons burn while nobody does anything."""
    kind, seconds, rows = options.luns[0], options.idle, []
    with workspace() as (stack, directory):
        lun = LUN(stack, kind, "covolume", GIB, options.device)
        lab = Lab(stack, directory / "lab")
        lab.add(lun, "Bench")
        folder = lab.volume("node2", "Bench") / "images"
        folder.mkdir()
        for index in range(IMAGES):
            loads.write_file(folder / ("image-%03d" % index), MIB)

        def watch(what):
            before = {name: processor_seconds(lab.process(name)) for name in lab.nodes}
            begin = time.monotonic()
            time.sleep(seconds)
            taken = time.monotonic() - begin
            used = [processor_seconds(lab.process(name)) - before[name] for name in lab.nodes]
            rows.append([what] + ["%.2f %%" % (100 * one / taken) for one in used])
            say("idle: " + " ".join(rows[-1]))

        watch("nothing open")
        holder = Holder(stack, folder, IMAGES, "lock")
        watch("%d images open and locked on node2" % IMAGES)
        holder.end()
    return [
        "**Idle**: processor time of each daemon over %d s, in percent of one processor." % seconds,
        "",
    ] + table(["", "node1 (coordinator)", "node2", "node3"], rows)  # fmt: skip


def growth(options):
    """Each part's table goes to its own file when it is done; all that are there make the page."""
    RESULTS.mkdir(exist_ok=True)
    for name in options.parts or PARTS:
        say("growth: " + name)
        begin = time.monotonic()
        lines = globals()[name](options)
        lines.append(
            "%s, revision %s, LUN: %s, %d rounds of %s s; took %.0f s." % (
                time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), revision(), options.device,
                options.rounds, options.seconds, time.monotonic() - begin,
            )
        )  # fmt: skip
        text = "\n".join(lines) + "\n\n"
        (RESULTS / ("growth-%s.md" % name)).write_text(text)
        print(text)
    pages = [RESULTS / ("growth-%s.md" % name) for name in PARTS]
    text = "".join(page.read_text() for page in pages if page.exists())
    (RESULTS / "growth.md").write_text("Machine: %s.\n\n" % describe() + text)
