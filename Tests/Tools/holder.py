#!/usr/bin/env python3
"""Holds something of a file while a test breaks something, and tells what became of it.

usage: holder.py lock FILE READY      takes flock(2), makes READY, holds it until it is killed
       holder.py want FILE READY      makes READY, waits for flock(2), prints when it got it
       holder.py open FILE READY GO   opens FILE, makes READY, waits for GO, tries everything
       holder.py put FILE READY TEXT  makes READY, writes a block of TEXT over the first, in place

Times are CLOCK_BOOTTIME in seconds. `open` prints a line of JSON: for each operation on the old
descriptor, and for a new open, null or the name of its error.
"""

import errno
import fcntl
import json
import mmap
import os
import sys
import time


def make(path):
    with open(path, "w"):
        pass


def attempt(operation, *arguments):
    try:
        operation(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return None


def read_anew(path):
    with open(path, "rb") as file:
        file.read(10)


def main():
    what, path, ready = sys.argv[1:4]
    if what == "put":
        file = os.open(path, os.O_RDWR | os.O_DIRECT)
        block = mmap.mmap(-1, 4096)
        block[:] = (sys.argv[4].encode() * 4096)[:4096]
        make(ready)
        start = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.pwritev(file, [block], 0)
        print("%.3f" % (time.clock_gettime(time.CLOCK_BOOTTIME) - start))
        os._exit(0)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if what == "lock":
        fcntl.flock(file, fcntl.LOCK_EX)
        make(ready)
        time.sleep(3600)
    elif what == "want":
        make(ready)
        fcntl.flock(file, fcntl.LOCK_EX)
        print("%.3f" % time.clock_gettime(time.CLOCK_BOOTTIME))
    elif what == "open":
        os.pwrite(file, b"before", 0)
        make(ready)
        while not os.path.exists(sys.argv[4]):
            time.sleep(0.05)
        found = {
            "read": attempt(os.pread, file, 10, 0),
            "write": attempt(os.pwrite, file, b"after", 0),
            "fsync": attempt(os.fsync, file),
            "lock": attempt(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB),
            "again": attempt(os.pread, file, 10, 0),
            "new": attempt(read_anew, path),
        }
        print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


main()
