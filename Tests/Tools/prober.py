#!/usr/bin/env python3
"""Does small operations in a directory, one after another, and tells how long the longest took.

usage: prober.py KIND DIRECTORY STOP READY

KIND is
  read      4 KiB reads of blocks that were written before, each compared
  write     4 KiB writes in place, all compared in the end
  fsync     the same with an fsync after every eighth
  metadata  create, rename and remove a file
  extend    append 4 KiB to a file
  fio       fio with verify=crc32c, run after run: into a mapped file, every third into a new one
  fio-sync  the same with fsync=8

It makes the file READY when it has begun, goes on until there is a file STOP, and then prints a
line of JSON: how many operations, the longest in seconds and when it began (CLOCK_BOOTTIME), and
the error that ended it, or null.
"""

import json
import mmap
import os
import random
import subprocess
import sys
import time

BLOCK = 4096
BLOCKS = 256
# Between two operations: a prober looks, it is no load.
PAUSE_SECONDS = 0.008


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def pattern(block, sequence):
    return (b"block %6d sequence %10d\n" % (block, sequence) * 200)[:BLOCK]


class Mismatch(Exception):
    pass


class Prober:
    def __init__(self, directory, stop, ready):
        self.directory, self.stop, self.ready = directory, stop, ready
        self.count, self.longest, self.longest_at = 0, 0.0, 0.0
        self.buffer = mmap.mmap(-1, BLOCK)

    def timed(self, operation, *arguments):
        start = now()
        try:
            return operation(*arguments)
        finally:
            took = now() - start
            self.count += 1
            if took > self.longest:
                self.longest, self.longest_at = took, start

    def rounds(self):
        """Until there is STOP. The first round is not timed: it may ask for maps."""
        number = 0
        while not os.path.exists(self.stop):
            yield number
            if number == 0:
                self.longest = 0.0
                with open(self.ready, "w"):
                    pass
            number += 1
            time.sleep(PAUSE_SECONDS)

    def mapped_file(self, name):
        """A file of written blocks, open with O_DIRECT."""
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            for block in range(BLOCKS):
                file.write(pattern(block, 0))
            file.flush()
            os.fsync(file.fileno())
        return os.open(path, os.O_RDWR | os.O_DIRECT)

    def compare(self, file, block, sequence):
        got = os.preadv(file, [self.buffer], block * BLOCK)
        if got != BLOCK or self.buffer[:] != pattern(block, sequence):
            raise Mismatch(
                "block %d has %r, not sequence %d" % (block, self.buffer[:28], sequence)
            )

    def put(self, file, block, sequence):
        self.buffer[:] = pattern(block, sequence)
        done = os.pwritev(file, [self.buffer], block * BLOCK)
        if done != BLOCK:
            raise Mismatch("wrote %d of %d bytes" % (done, BLOCK))

    def read(self):
        file = self.mapped_file("read")
        for number in self.rounds():
            if number == 0:
                for block in range(BLOCKS):
                    self.compare(file, block, 0)
            self.timed(self.compare, file, random.randrange(BLOCKS), 0)

    def write(self, fsync_every=0):
        file = self.mapped_file("fsync" if fsync_every else "write")
        sequences = [0] * BLOCKS
        for number in self.rounds():
            if number == 0:
                # A node asks for a map from where it lacks it on: from the beginning, then.
                for block in range(BLOCKS):
                    self.put(file, block, 0)
            block = random.randrange(BLOCKS)
            self.timed(self.put, file, block, number + 1)
            sequences[block] = number + 1
            if fsync_every and number % fsync_every == 0:
                self.timed(os.fsync, file)
        for block, sequence in enumerate(sequences):
            self.compare(file, block, sequence)

    def fsync(self):
        self.write(fsync_every=8)

    def metadata(self):
        for number in self.rounds():
            path = os.path.join(self.directory, "metadata-%d" % number)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(self.timed(os.open, path, flags, 0o644))
            self.timed(os.rename, path, path + "-renamed")
            self.timed(os.unlink, path + "-renamed")

    def extend(self):
        path = os.path.join(self.directory, "extend")
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND)
        done = 0
        for number in self.rounds():
            self.timed(os.write, file, pattern(number, 1))
            done = number + 1
        os.lseek(file, 0, os.SEEK_SET)
        for number in range(done):
            if os.read(file, BLOCK) != pattern(number, 1):
                raise Mismatch("append %d is not there" % number)
        if os.read(file, 1):
            raise Mismatch("there is more than was appended")

    def fio(self, *arguments):
        name = "fio" + "".join(arguments).replace("--", "-")
        for number in self.rounds():
            path = os.path.join(self.directory, name)
            if number % 3 == 2:
                os.unlink(path)
            command = [
                "fio", "--name=verify", "--filename=" + path, "--rw=randwrite", "--bs=4k",
                "--size=1536k", "--iodepth=4", "--ioengine=libaio", "--direct=1",
                "--fallocate=none", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1",
                "--rate_iops=300", "--randseed=%d" % (number + 1), "--output-format=terse",
                *arguments,
            ]  # fmt: skip
            result = self.timed(lambda: subprocess.run(command, capture_output=True, text=True))
            if result.returncode != 0:
                raise Mismatch(
                    "fio, run %d: status %d: %s%s"
                    % (number, result.returncode, result.stdout[-300:], result.stderr[-600:])
                )

    def fio_sync(self):
        self.fio("--fsync=8")


def main():
    kind, directory, stop, ready = sys.argv[1:]
    prober = Prober(directory, stop, ready)
    error = None
    try:
        os.makedirs(directory, exist_ok=True)
        getattr(prober, kind.replace("-", "_"))()
    except (OSError, Mismatch) as failure:
        error = "%s, at %.3f: %s" % (type(failure).__name__, now(), failure)
    print(
        json.dumps(
            {
                "count": prober.count,
                "longestSeconds": prober.longest,
                "longestAtSeconds": prober.longest_at,
                "error": error,
            }
        )
    )
    sys.stdout.flush()
    # Without waiting for what the interpreter would close.
    os._exit(0 if error is None else 1)


main()
