#!/usr/bin/env python3
"""Writes blocks into a sparse file in random order until the volume is full.

usage: scatter.py write FILE BLOCKS SEED LOG
       scatter.py check FILE LOG

`write` makes FILE, of so many blocks of 4 KiB, and writes each once, past the page cache, until there
is no room left. The numbers of those that were written go to LOG, and how many to standard output.
`check` reads these from FILE and compares them; every other block must hold zeros.
"""

import errno
import mmap
import os
import random
import sys

BLOCK = 4096


def content(number):
    return b"%016d" % number * (BLOCK // 16)


def write(path, blocks, seed, log):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_DIRECT)
    os.ftruncate(file, blocks * BLOCK)
    numbers = list(range(blocks))
    random.Random(seed).shuffle(numbers)
    memory = mmap.mmap(-1, BLOCK)
    written = []
    for number in numbers:
        memory[:] = content(number)
        try:
            os.pwrite(file, memory, number * BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            break
        written.append(number)
    else:
        sys.exit("all blocks were written, and the volume is not full")
    os.close(file)
    with open(log, "w") as out:
        out.write(" ".join(map(str, written)))
    print(len(written))


def check(path, log):
    with open(log) as text:
        written = set(map(int, text.read().split()))
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    memory = mmap.mmap(-1, BLOCK)
    for number in range(os.fstat(file).st_size // BLOCK):
        if os.preadv(file, [memory], number * BLOCK) != BLOCK:
            sys.exit("block %d cannot be read" % number)
        if memory[:] != (content(number) if number in written else bytes(BLOCK)):
            sys.exit("block %d: %r" % (number, memory[:32]))


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
else:
    check(sys.argv[2], sys.argv[3])
