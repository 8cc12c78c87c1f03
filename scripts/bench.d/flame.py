"""Where the processors' time goes in a case: for an operation on the raw LUN, on the floor and on a
node that is not the coordinator, by who takes it; and a flame graph of the last."""

import collections
import shutil
import time

import floor
import loads
from createprofile import read_stacks, readable
from machine import GIB, LUN, RESULTS, Failure, Lab, describe, revision, run, say, workspace
from report import table

FREQUENCY = 1997
WIDTH, ROW, LEAST = 1200, 15, 1.0
# Who a thread is, by how its name begins; the rest is "other".
THREADS = [
    ("fio", "fio"), ("server", "fuse"), ("server", "floor"), ("loop device", "kworker"),
    ("softirq", "ksoftirqd"), ("idle", "swapper"),
]  # fmt: skip
COLUMNS = ["fio", "server", "loop device", "softirq", "other", "idle"]
# What a server's sample is, by the first of these that its stack has.
PARTS = [
    ("FUSE's commands and copies", ("fuse_",)),
    ("starting LUN I/O", ("io_read", "io_write", "__blk_flush_plug", "blk_finish_plug")),
    ("waiting and its switches", ("io_cqring_wait", "schedule", "__schedule")),
    ("io_uring itself", ("io_uring", "__do_sys_io_uring", "io_submit", "__io_run_local_work")),
    ("other of the kernel", ("do_syscall_64", "entry_SYSCALL", "asm_", "ret_from_fork")),
]


def owner(name):
    return next((who for who, start in THREADS if name.startswith(start)), "other")


def part_of(stack):
    for part, starts in PARTS:
        if any(frame.startswith(starts) for frame in stack):
            return part
    return "own code"


def sample(place, case, seconds, data):
    """fio's figures, and how often each stack was seen meanwhile."""
    words = loads.fio_words(place.target, case, seconds, loads.FILE_SIZE, 1)
    said = run(
        "perf", "record", "--quiet", "-e", "cpu-clock", "-F", FREQUENCY, "-a", "-g", "-o", data,
        "--", *words, timeout=seconds + 120,
    )  # fmt: skip
    return loads.fio_result(said), read_stacks(data)


def case_tables(places, case, seconds, directory):
    rows, parts, drawn = [], {}, None
    for place in places:
        figures, stacks = sample(place, case, seconds, directory / "perf.data")
        per_operation = 1e6 / FREQUENCY / (figures["iops"] * seconds)
        spent = collections.Counter()
        for (_, name, stack), count in stacks.items():
            spent[owner(name)] += count * per_operation
            if owner(name) == "server":
                parts.setdefault(part_of(stack), collections.Counter())[place.path] += (
                    count * per_operation
                )
        rows.append([place.path, "%.0fk/s" % (figures["iops"] / 1000)] + [
            "%.1f" % spent[who] for who in COLUMNS])  # fmt: skip
        say("flame: %s %s" % (case.name, " ".join(rows[-1])))
        drawn = stacks
    (RESULTS / ("flame-%s.svg" % case.name)).write_text(draw(case, places[-1].path, drawn))
    servers = [place.path for place in places if place.path != "raw"]
    order = sorted(parts, key=lambda part: -max(parts[part].values()))
    return (
        ["**%s**: microseconds of both processors for an operation, by who takes them." % case.name,
         ""]
        + table(["path", "speed"] + COLUMNS, rows)
        + ["The server's column in parts, by what is on the stack:", ""]
        + table(["part"] + servers, [
            [part] + ["%.1f" % parts[part][path] for path in servers] for part in order])
        + ["![Flame graph of %s, %s](flame-%s.svg)" % (case.name, places[-1].path, case.name), ""]
    )  # fmt: skip


class Frame:
    def __init__(self):
        self.count, self.below = 0, collections.defaultdict(Frame)

    def add(self, frames, count):
        self.count += count
        if frames:
            self.below[frames[0]].add(frames[1:], count)

    def depth(self, least):
        inner = [one.depth(least) for one in self.below.values() if one.count >= least]
        return 1 + max(inner, default=0)


def escaped(words):
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def draw(case, path, stacks):
    """Widths are shares of all samples but the idle ones; callers lie below what they call."""
    busy = [(key[1], key[2], count) for key, count in stacks.items() if owner(key[1]) != "idle"]
    plain = readable({frame for _, stack, _ in busy for frame in stack})
    root = Frame()
    for name, stack, count in busy:
        root.add((name,) + tuple(plain[frame] for frame in stack), count)
    unit = WIDTH / max(root.count, 1)
    depth = root.depth(LEAST / unit)
    height = (depth + 2) * ROW
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" '
        'font-size="10">' % (WIDTH, height),
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="4" y="11">%s, %s: %d samples, without the idle ones</text>'
        % (case.name, path, root.count),
    ]

    def show(name, frame, x, level):
        width = frame.count * unit
        if width < LEAST:
            return
        y = height - (level + 1) * ROW
        hue = 20 + sum(name.encode()) % 35
        label = escaped("%s (%.1f %%)" % (name, 100 * frame.count / root.count))
        lines.append(
            '<g><title>%s</title><rect x="%.1f" y="%d" width="%.1f" height="%d" '
            'fill="hsl(%d,80%%,65%%)" stroke="#fff" stroke-width=".4"/>'
            % (label, x, y, width, ROW - 1, hue)
        )
        fitting = int(width / 6.1)
        if fitting > 2:
            lines.append('<text x="%.1f" y="%d">%s</text>' % (
                x + 2, y + 11, escaped(name[:fitting])))  # fmt: skip
        lines.append("</g>")
        for inner, one in sorted(frame.below.items()):
            show(inner, one, x, level + 1)
            x += one.count * unit

    show("all", root, 0, 0)
    return "\n".join(lines + ["</svg>", ""])


def flame(options):
    if not shutil.which("perf"):
        raise Failure("perf is not installed (`apt-get install linux-perf`)")
    cases = [loads.BY_NAME[name] for name in options.cases or ["randread-4k-qd32"]]
    if any(case.name not in floor.CASES for case in cases):
        raise Failure("only cases over a file that was written before: " + ", ".join(floor.CASES))
    RESULTS.mkdir(exist_ok=True)
    kind = options.luns[0]
    with workspace() as (stack, directory):
        program, why_not = floor.build(directory)
        places = [loads.Place("raw", LUN(stack, kind, "raw", loads.NEW_SIZE, options.device).path)]
        if program:
            lun = LUN(stack, kind, "floor", loads.NEW_SIZE, options.device)
            served = floor.Floor(stack, program, directory / "served", lun)
            places.append(loads.Place("floor", served.target))
        else:
            say("absent: " + why_not)
        shared = LUN(stack, kind, "covolume", GIB, options.device)
        lab = Lab(stack, directory / "lab")
        lab.add(shared, "Bench")
        places.append(loads.Place.on("remote", lab.volume("node2", "Bench")))
        lines = ["%s-backed LUN, %s, revision %s; %s. Samples of perf, %d a second." % (
            kind, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), revision(), describe(),
            FREQUENCY,
        ), ""]  # fmt: skip
        for case in cases:
            lines += case_tables(places, case, options.seconds, directory)
    text = "\n".join(lines) + "\n"
    (RESULTS / "flame.md").write_text(text)
    print(text)
