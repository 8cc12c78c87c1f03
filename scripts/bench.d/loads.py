"""The loads: fio, appends and metadata storms, each one run with one result."""

import json
import os
import pathlib
import sys

from machine import GIB, MIB, Failure, run

FILE_SIZE = 512 * MIB
NEW_SIZE = GIB
WORK = str(pathlib.Path(__file__).with_name("work.py"))


class Case:
    """`kind`: steady goes over a file that was written before, again and again; first writes a
    new sparse file once; append lets a new file grow by O_APPEND."""

    def __init__(self, name, kind, rw, block, depth):
        self.name, self.kind, self.rw, self.block, self.depth = name, kind, rw, block, depth

    @property
    def size_bytes(self):
        return int(self.block[:-1]) * {"k": 1024, "m": MIB}[self.block[-1]]


CASES = [
    Case("randread-4k-qd32", "steady", "randread", "4k", 32),
    Case("randwrite-4k-qd32", "steady", "randwrite", "4k", 32),
    Case("randread-64k-qd8", "steady", "randread", "64k", 8),
    Case("randwrite-64k-qd8", "steady", "randwrite", "64k", 8),
    Case("read-1m-qd8", "steady", "read", "1m", 8),
    Case("write-1m-qd8", "steady", "write", "1m", 8),
    Case("randread-4k-qd1", "steady", "randread", "4k", 1),
    Case("randwrite-4k-qd1", "steady", "randwrite", "4k", 1),
    Case("firstwrite-1m-qd8", "first", "write", "1m", 8),
    Case("randfirstwrite-4k-qd32", "first", "randwrite", "4k", 32),
    Case("append-64k-qd1", "append", "write", "64k", 1),
    Case("append-1m-qd1", "append", "write", "1m", 1),
]
BY_NAME = {case.name: case for case in CASES}
# What a redirected node is measured with.
REDIRECTED = ["read-1m-qd8", "write-1m-qd8", "randread-4k-qd32", "randread-4k-qd1"]


class Place:
    """Where a case runs: a file that was written, or the raw device, and a folder for new files."""

    def __init__(self, path, target, directory=None, cases=None):
        self.path, self.target, self.directory = path, str(target), directory
        self.cases = cases or list(BY_NAME)

    @classmethod
    def on(cls, path, directory, cases=None, name="bench"):
        target = pathlib.Path(directory) / name
        write_file(target, FILE_SIZE)
        return cls(path, target, directory, cases)


def write_file(path, size):
    """Data in every block, durable."""
    data = os.urandom(MIB)
    with open(path, "xb", buffering=0) as file:
        for _ in range(size // MIB):
            file.write(data)
        os.fsync(file.fileno())


def fio_words(target, case, seconds, size, seed, first=False):
    words = [
        "fio", "--name=bench", "--filename=%s" % target, "--rw=%s" % case.rw,
        "--bs=%s" % case.block, "--iodepth=%d" % case.depth, "--ioengine=io_uring", "--direct=1",
        "--size=%d" % size, "--runtime=%dms" % (1000 * seconds), "--randseed=%d" % seed,
        "--invalidate=0", "--allow_file_create=0", "--fallocate=none", "--group_reporting",
        "--thread", "--output-format=json",
    ]  # fmt: skip
    return words + (["--end_fsync=1"] if first else ["--time_based", "--norandommap"])


def fio_result(text):
    """fio's JSON after a warning line or two."""
    try:
        job = json.loads(text[text.index("{") :])["jobs"][0]
    except (ValueError, KeyError) as error:
        raise Failure("fio printed no result: %s" % error) from None
    side = job["read"] if job["read"]["total_ios"] else job["write"]
    if job["error"] or not side["total_ios"]:
        raise Failure("fio: error %d, %d operations" % (job["error"], side["total_ios"]))
    return {
        "iops": side["iops"],
        "mbps": side["bw_bytes"] / 1e6,
        "latencyMicroseconds": side["lat_ns"]["mean"] / 1e3,
    }


def steady(target, case, seconds, seed, size=0, offset=0):
    words = fio_words(target, case, seconds, size or FILE_SIZE, seed) + ["--offset=%d" % offset]
    return fio_result(run(*words, timeout=seconds + 120))


def first_write(place, case, seconds, seed):
    target = place.target
    if place.directory:
        target = "%s/new-%d" % (place.directory, seed)
        with open(target, "xb") as file:
            os.truncate(file.fileno(), NEW_SIZE)
    try:
        words = fio_words(target, case, seconds, NEW_SIZE, seed, first=True)
        return fio_result(run(*words, timeout=seconds + 120))
    finally:
        if place.directory:
            os.unlink(target)


def append(place, case, seconds, seed):
    target = "%s/grows-%d" % (place.directory, seed) if place.directory else place.target
    kind = "file" if place.directory else "raw"
    try:
        words = ["append", kind, target, case.size_bytes, seconds, NEW_SIZE]
        return work(*words, timeout=seconds + 120)
    finally:
        if place.directory and os.path.exists(target):
            os.unlink(target)


def measure(place, case, seconds, seed):
    if case.kind == "steady":
        return steady(place.target, case, seconds, seed)
    return {"first": first_write, "append": append}[case.kind](place, case, seconds, seed)


def work(*words, timeout=120):
    return json.loads(run(sys.executable, WORK, *words, timeout=timeout))


def storm(directory, processes, seconds):
    """Creates, stats and unlinks a second by that many processes, each in a folder of its own."""
    return work("storm", directory, processes, seconds, timeout=20 * seconds + 120)
