#!/usr/bin/env python3
"""What the bench measures without fio: one load, one line of JSON.

usage: work.py append file|raw PATH BLOCK_BYTES SECONDS LIMIT_BYTES
       work.py storm DIRECTORY PROCESSES SECONDS
       work.py directory DIRECTORY SECONDS
       work.py hold DIRECTORY COUNT [lock]

append: O_APPEND and O_DIRECT, one write after another, with the fsync at the end in the time; raw
writes the same at rising offsets of a device. storm: each process has a folder, creates (open with
O_CREAT and O_EXCL, close) for that many seconds, then stats what it made for as long, then unlinks.
directory: lists a folder with and without attributes, looks names up, creates and unlinks in it.
hold: opens the folder's first files, reads a block of each, prints "ready", and holds them until
its standard input ends; "lock" takes a lock on each as QEMU does.
"""

import fcntl
import json
import mmap
import multiprocessing
import os
import random
import resource
import struct
import sys
import time

BLOCK = 4096
FILES_MAXIMUM = 50_000


def rate(count, seconds, size=0):
    return {
        "iops": count / seconds,
        "mbps": count * size / seconds / 1e6,
        "latencyMicroseconds": seconds / max(count, 1) * 1e6,
    }


def append(kind, path, size, seconds, limit):
    data = mmap.mmap(-1, size)
    data.write(os.urandom(size))
    flags = os.O_WRONLY | os.O_DIRECT
    if kind == "file":
        flags |= os.O_CREAT | os.O_EXCL | os.O_APPEND
    descriptor = os.open(path, flags, 0o644)
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds and (count + 1) * size <= limit:
        if kind == "file":
            done = os.write(descriptor, data)
        else:
            done = os.pwrite(descriptor, data, count * size)
        if done != size:
            raise OSError("wrote %d of %d bytes" % (done, size))
        count += 1
    os.fsync(descriptor)
    return rate(count, time.monotonic() - begin, size)


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def repeat(operation, paths, seconds, again=False):
    """How many operations in how long: until the time or, without `again`, the paths are over."""
    begin, count = time.monotonic(), 0
    end = begin + seconds
    while True:
        for path in paths:
            operation(path)
            count += 1
            if time.monotonic() >= end:
                return count, time.monotonic() - begin
        if not again:
            return count, time.monotonic() - begin


def storm_process(directory, number, seconds, barrier, results):
    try:
        folder = "%s/storm-%d" % (directory, number)
        os.mkdir(folder)
        paths = ["%s/file-%05d" % (folder, index) for index in range(FILES_MAXIMUM)]
        figures = {}
        barrier.wait()
        figures["create"] = repeat(create, paths, seconds)
        made = paths[: figures["create"][0]]
        barrier.wait()
        figures["stat"] = repeat(os.stat, made, seconds, again=True)
        barrier.wait()
        # Without a limit: what was made must go.
        figures["unlink"] = repeat(os.unlink, made, 1e9)
        os.rmdir(folder)
        results.put((None, figures))
    except Exception as error:
        barrier.abort()
        results.put((repr(error), None))


def storm(directory, processes, seconds):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    running = [
        context.Process(target=storm_process, args=(directory, number, seconds, barrier, results))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    answers = [results.get() for _ in running]
    for process in running:
        process.join()
    errors = [error for error, _ in answers if error]
    if errors:
        sys.exit("storm: %s" % errors)
    totals = {}
    for name in ("create", "stat", "unlink"):
        each = [figures[name] for _, figures in answers]
        count, longest = sum(done for done, _ in each), max(taken for _, taken in each)
        totals[name] = rate(count, longest)
        # An operation's own time, not the time between two ends.
        totals[name]["latencyMicroseconds"] *= processes
    return totals


def list_again(path, seconds, with_attributes):
    """Entries a second, of as many whole listings as end in time, or of a part of one."""
    begin, count = time.monotonic(), 0
    end = begin + seconds
    while time.monotonic() < end:
        with os.scandir(path) as entries:
            for entry in entries:
                count += 1
                if with_attributes:
                    entry.stat(follow_symlinks=False)
                    if time.monotonic() > end:
                        break
    return rate(count, time.monotonic() - begin)


def directory(path, seconds):
    names = os.listdir(path)
    figures = {
        "list": list_again(path, seconds, False),
        "list with attributes": list_again(path, seconds, True),
    }
    pick = random.Random(1)
    paths = ["%s/%s" % (path, pick.choice(names)) for _ in range(min(FILES_MAXIMUM, len(names)))]
    figures["stat"] = rate(*repeat(os.stat, paths, seconds, again=True))
    fresh = ["%s/fresh-%05d" % (path, index) for index in range(FILES_MAXIMUM)]
    made, taken = repeat(create, fresh, seconds)
    figures["create"] = rate(made, taken)
    figures["unlink"] = rate(*repeat(os.unlink, fresh[:made], 1e9))
    return figures


def hold(path, count, locks):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    names = sorted(os.listdir(path))[:count]
    buffer, held = mmap.mmap(-1, BLOCK), []
    for name in names:
        descriptor = os.open("%s/%s" % (path, name), os.O_RDWR | os.O_DIRECT)
        os.preadv(descriptor, [buffer], 0)
        if locks:
            # QEMU's "consistent read" permission: a shared lock on byte 100.
            wanted = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
        held.append(descriptor)
    print("ready %d" % len(held), flush=True)
    sys.stdin.read()


def main(kind, *words):
    if kind == "append":
        form, path, size, seconds, limit = words
        print(json.dumps(append(form, path, int(size), float(seconds), int(limit))))
    elif kind == "storm":
        print(json.dumps(storm(words[0], int(words[1]), float(words[2]))))
    elif kind == "directory":
        print(json.dumps(directory(words[0], float(words[1]))))
    elif kind == "hold":
        hold(words[0], int(words[1]), "lock" in words)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
