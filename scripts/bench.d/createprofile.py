"""Where a remote create spends its time.

Three views, since each lies in its own way: a ladder of latencies, from a local create up to a
remote one, without any instrument; samples of the processors while one process creates remotely
(perf); and what system calls the daemons' threads take, as wall time (strace, which slows what it
looks at).
"""

import collections
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import loads
import work
from growth import processor_seconds
from machine import GIB, LUN, RESULTS, Failure, Lab, describe, revision, run, say, workspace
from report import table

# Waiting, not working: threads of the daemons are parked in these.
PARKED = {
    "futex", "epoll_wait", "epoll_pwait", "io_uring_enter", "poll", "ppoll", "read", "accept4",
    "clock_nanosleep", "nanosleep", "restart_syscall", "select", "pselect6", "wait4", "eventfd2",
}  # fmt: skip

# What every stack begins with, and says nothing.
PLUMBING = (
    "thunk for", "start_thread", "clone", "entry_SYSCALL", "do_syscall", "_dispatch", "__x64_sys",
    "swift_job_run", "swift::run", "ThreadOpsPosix", "MultiThreadedEventLoopGroup", "FUSEThread.",
    "FUSEWorkerStarter.", "ServiceThread.", "WorkerPool.init", "[unknown]",
)  # fmt: skip


def microseconds(figures, what="create"):
    return figures[what]["latencyMicroseconds"]


def asked_for(lab, folder, operation, count=200):
    """What one operation on node2 asks the coordinator, on average."""
    before = lab.statistics("node2", "Bench")["metadataOperations"]
    for index in range(count):
        operation("%s/asked-%d" % (folder, index))
    return (lab.statistics("node2", "Bench")["metadataOperations"] - before) / count


def ladder(options, local, lab):
    """One process, one file after another, everywhere in turn; and what each operation asks."""
    rounds = {name: [] for name in ("local", "local, wsync", "coordinator", "remote")}
    for _ in range(options.rounds):
        for name, mount_options in (("local", "noatime"), ("local, wsync", "noatime,wsync")):
            local.again(mount_options)
            rounds[name].append(loads.storm(local.directory, 1, options.seconds))
        for name, node in (("coordinator", "node1"), ("remote", "node2")):
            rounds[name].append(loads.storm(lab.volume(node, "Bench"), 1, options.seconds))
    rows = []
    for name, all_ in rounds.items():
        rows.append([name] + [
            "%.0f µs" % statistics.median(microseconds(one, what) for one in all_)
            for what in ("create", "stat", "unlink")
        ])  # fmt: skip
        say("profile: " + " ".join(rows[-1]))
    middle = {name: statistics.median(map(microseconds, all_)) for name, all_ in rounds.items()}
    folder = lab.volume("node2", "Bench")
    asked = [asked_for(lab, folder, what) for what in (work.create, os.stat, os.unlink)]
    return ["**The ladder**: one process, mean of an operation, median of the rounds.", ""] + table(
        ["where", "create and close", "stat", "unlink"], rows
    ) + [
        "A create costs %.0f µs on the local file system, %+.0f µs to be durable (XFS `wsync`), "
        "%+.0f µs for FUSE and the coordinator on its own node, %+.0f µs from another node." % (
            middle["local"], middle["local, wsync"] - middle["local"],
            middle["coordinator"] - middle["local, wsync"],
            middle["remote"] - middle["coordinator"],
        ),
        "Operations that the node asks of the coordinator: %.1f for a create with its close, %.1f "
        "for a stat, %.1f for an unlink." % tuple(asked), "",
    ]  # fmt: skip


class Creating:
    """A remote create storm in the background, for as long as something is measured."""

    def __init__(self, lab, seconds):
        self.folder = lab.volume("node2", "Bench")
        self.process = subprocess.Popen(
            [sys.executable, loads.WORK, "storm", str(self.folder), "1", str(seconds)],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.5)

    def end(self):
        try:
            self.process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure("the creates do not end") from None


def samples(options, lab, directory):
    """perf's samples of all processors, by program and by function."""
    if not shutil.which("perf"):
        return ["perf is not installed (`apt-get install linux-perf`).", ""]
    data, seconds = directory / "perf.data", max(options.seconds, 1)
    daemons = {name: lab.process(name) for name in ("node1", "node2")}
    creating = Creating(lab, seconds + 2)
    used = {name: processor_seconds(process) for name, process in daemons.items()}
    begin = time.monotonic()
    try:
        run(
            "perf", "record", "--quiet", "-e", "cpu-clock", "-F", "997", "-a", "-g", "-o", data,
            "--", "sleep", seconds,
        )  # fmt: skip
    except Failure as error:
        creating.end()
        return ["perf does not work here: %s" % str(error).splitlines()[-1], ""]
    taken = time.monotonic() - begin
    used = {name: processor_seconds(daemons[name]) - before for name, before in used.items()}
    creating.end()
    stacks = read_stacks(data)
    (RESULTS / "create.folded").write_text("".join(
        "%s %d\n" % (";".join((name,) + stack), count)
        for (_, name, stack), count in sorted(stacks.items())
    ))  # fmt: skip
    shares = tuple(100 * used[name] / taken for name in ("node1", "node2"))
    lines = ["**Processors** while one process creates on node2: node1's daemon used %.0f %%, "
             "node2's %.0f %% of one. By samples of perf; stacks for a flame graph are in "
             "`.bench/create.folded`." % shares, ""]
    threads = collections.Counter()
    for (_, name, _), count in stacks.items():
        threads[name] += count
    total = sum(threads.values())
    lines += table(["threads of that name", "of all samples"], [
        ["`%s`" % name, "%.1f %%" % (100 * count / total)]
        for name, count in threads.most_common(12) if count > total / 200
    ])  # fmt: skip
    for node, process in daemons.items():
        lines += functions(stacks, node, process)
    return lines


def functions(stacks, node, process):
    """Where a daemon's samples ended, and what they had on their stacks."""
    own, below = collections.Counter(), collections.Counter()
    mine = [(stack, count) for (number, _, stack), count in stacks.items() if number == process]
    plain = readable({frame for stack, _ in mine for frame in stack})
    for stack, count in mine:
        if stack:
            own[plain[stack[-1]]] += count
            below.update({name: count for name in {plain[frame] for frame in stack}})
    total = max(sum(own.values()), 1)
    chosen = {name for name, _ in own.most_common(10)}
    working = [name for name, _ in below.most_common() if not name.startswith(PLUMBING)]
    chosen.update(working[:20])
    return table(
        ["%s's daemon" % node, "on the stack", "itself"],
        [
            ["`%s`" % name.replace("|", "/")[:80],
             "%.0f %%" % (100 * below[name] / total), "%.0f %%" % (100 * own[name] / total)]
            for name in sorted(chosen, key=lambda name: -below[name])
        ],
    )  # fmt: skip


def readable(names):
    """Swift's names as one reads them, and a closure as a part of its function."""
    mangled = [name for name in names if name.startswith(("$s", "$S"))]
    plain = {name: name for name in names}
    if mangled and shutil.which("swift"):
        said = run("swift", "demangle", "--simplified", input="\n".join(mangled)).splitlines()
        if len(said) == len(mangled):
            plain.update(zip(mangled, said))
    inner = re.compile(r"^(specialized |@objc |static |partial apply for |closure #\d+ in )+")
    return {name: inner.sub("", text) for name, text in plain.items()}


def read_stacks(data):
    """How often perf saw each stack, by process, thread name and frames, the outermost first."""
    stacks, key, stack = collections.Counter(), None, []
    for line in run("perf", "script", "-i", data, "-F", "comm,pid,ip,sym").splitlines() + [""]:
        if line[:1].isspace() and key:
            stack.append((line.split(None, 1) + ["?"])[1])
            continue
        if key:
            stacks[key + (tuple(stack[::-1]),)] += 1
        found = re.fullmatch(r"\s*(.*\S)\s+(\d+)\s*", line)
        key, stack = (int(found[2]), found[1]) if found else None, []
    return stacks


def calls(options, lab, directory):
    """strace's account of the daemons' system calls, without those in which a thread just waits."""
    if not shutil.which("strace"):
        return ["strace is not installed.", ""]
    lines = []
    for node in ("node1", "node2"):
        output = directory / ("strace-" + node)
        tracer = subprocess.Popen(
            ["strace", "-f", "-w", "-c", "-qq", "-o", str(output), "-p", str(lab.process(node))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(0.5)
            before = lab.statistics("node2", "Bench")["metadataOperations"]
            creating = Creating(lab, max(options.seconds, 1))
            creating.end()
            asked = lab.statistics("node2", "Bench")["metadataOperations"] - before
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(timeout=30)
            except subprocess.TimeoutExpired:
                tracer.kill()
        rows = []
        for line in output.read_text().splitlines():
            words = line.split()
            if len(words) < 5 or words[-1] in PARKED | {"total", "syscall"} or "-" in words[0]:
                continue
            rows.append([words[-1], words[3], "%s µs" % words[2], words[1] + " s"])
        role = "the coordinator's" if node == "node1" else "its own"
        lines += ["**System calls** of %s daemon, creates, stats and unlinks of node2 (%d "
                  "operations asked), traced:" % (role, asked), ""]
        lines += table(["call", "calls", "each", "in all"], rows[:12])
    return lines


def profile(options):
    RESULTS.mkdir(exist_ok=True)
    kind = options.luns[0]
    with workspace() as (stack, directory):
        local = LUN(stack, kind, "local", GIB, options.device).mount(stack, directory / "local")
        shared = LUN(stack, kind, "covolume", GIB, options.device)
        lab = Lab(stack, directory / "lab")
        lab.add(shared, "Bench")
        lines = ["%s-backed LUN, %s, revision %s; %s." % (
            kind, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), revision(), describe(),
        ), ""]  # fmt: skip
        for part in (ladder, samples, calls):
            begin = len(lines)
            if part is ladder:
                lines += ladder(options, local, lab)
            else:
                lines += part(options, lab, directory)
            print("\n".join(lines[begin:]), flush=True)
    (RESULTS / "profile.md").write_text("\n".join(lines) + "\n")
