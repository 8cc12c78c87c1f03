#!/usr/bin/env python3
"""Changes a directory at random and keeps a ledger elsewhere; compares the two afterwards.

usage: storm.py run DIRECTORY LEDGER SEED STOP
       storm.py check DIRECTORY (LEDGER | lost:LEDGER)...

`run` writes a line into LEDGER before each operation and one after it, so that what was
acknowledged is known when the machine is gone. It ends when there is a file STOP, with status 1
where an operation failed. Several may run in one directory: names begin with the seed.

`check` looks for everything that the ledgers say was acknowledged. The last operation of a ledger
may be without acknowledgement: it is there or it is not, and never half. Of a `lost:` ledger, whose
node lost its power, appended bytes count from their fsync on; what else is there of them must be
the beginning of what was appended.
"""

import json
import os
import random
import sys

RECORD_MAXIMUM = 3000
FILES_MAXIMUM = 40


def record(seed, file, number):
    source = random.Random("%s.%s.%s" % (seed, file, number))
    head = b"<%d.%d.%d>" % (seed, file, number)
    return head + source.randbytes(source.randrange(20, RECORD_MAXIMUM))


class Model:
    """What a storm has made: names of files and directories, and how much each file holds."""

    def __init__(self, seed):
        self.seed = seed
        self.names = {}
        self.directories = set()
        # Records appended, and those of them that an fsync has made durable.
        self.records = {}
        self.durable = {}

    def apply(self, entry):
        operation, name, other = entry["op"], entry["name"], entry.get("to")
        if operation == "create":
            self.names[name] = entry["file"]
            self.records[entry["file"]] = self.durable[entry["file"]] = 0
        elif operation == "append":
            file = entry["file"]
            self.records[file] += 1
            if entry["fsync"]:
                self.durable[file] = self.records[file]
        elif operation == "rename":
            self.names[other] = self.names.pop(name)
        elif operation == "link":
            self.names[other] = self.names[name]
        elif operation == "unlink":
            del self.names[name]
        elif operation == "mkdir":
            self.directories.add(name)
        elif operation == "rmdir":
            self.directories.remove(name)

    def content(self, file, records):
        return b"".join(record(self.seed, file, number) for number in range(records))


class Storm:
    def __init__(self, directory, ledger, seed):
        self.directory = directory
        self.random = random.Random(seed)
        self.model = Model(seed)
        self.seed = seed
        self.number = 0
        self.open_files = {}
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC
        self.ledger = os.open(ledger, flags, 0o644)

    def path(self, name):
        return os.path.join(self.directory, name)

    def note(self, entry):
        os.write(self.ledger, json.dumps(entry).encode() + b"\n")

    def choose(self):
        model, pick = self.model, self.random
        names = sorted(model.names)
        fresh = "%d-%d" % (self.seed, self.number)
        kinds = ["create"] * 4 + ["append"] * 6 + ["rename"] * 3 + ["link", "unlink", "unlink"]
        kind = pick.choice(kinds + ["mkdir", "rmdir"])
        if kind == "rmdir" and model.directories:
            return {"op": "rmdir", "name": pick.choice(sorted(model.directories))}
        if kind == "mkdir":
            return {"op": "mkdir", "name": fresh}
        if not names or (kind == "create" and len(names) < FILES_MAXIMUM):
            return {"op": "create", "name": fresh, "file": self.number}
        name = pick.choice(names)
        if kind == "append":
            file = model.names[name]
            return {"op": "append", "name": name, "file": file, "fsync": pick.random() < 0.5}
        if kind == "link":
            return {"op": "link", "name": name, "to": fresh}
        if kind == "rename":
            over = [other for other in names if model.names[other] != model.names[name]]
            to = pick.choice(over) if over and pick.random() < 0.3 else fresh
            return {"op": "rename", "name": name, "to": to}
        return {"op": "unlink", "name": name}

    def perform(self, entry):
        operation, path = entry["op"], self.path(entry["name"])
        if operation == "create":
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        elif operation == "append":
            self.append(entry, path)
        elif operation == "rename":
            os.rename(path, self.path(entry["to"]))
        elif operation == "link":
            os.link(path, self.path(entry["to"]))
        elif operation == "unlink":
            os.unlink(path)
        elif operation == "mkdir":
            os.mkdir(path)
        elif operation == "rmdir":
            os.rmdir(path)

    def append(self, entry, path):
        # Some files stay open, over failovers too.
        file = entry["file"]
        descriptor = self.open_files.pop(file, None)
        if descriptor is None:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        data = record(self.seed, file, self.model.records[file])
        done = os.write(descriptor, data)
        if done != len(data):
            raise OSError(0, "wrote %d of %d bytes" % (done, len(data)))
        if entry["fsync"]:
            os.fsync(descriptor)
        if len(self.open_files) < 5 and self.random.random() < 0.5:
            self.open_files[file] = descriptor
        else:
            os.close(descriptor)

    def run(self, stop):
        while not os.path.exists(stop):
            self.number += 1
            entry = self.choose()
            entry["n"] = self.number
            self.note(entry)
            try:
                self.perform(entry)
            except OSError as error:
                self.note({"n": self.number, "error": str(error)})
                sys.exit("operation %s: %s" % (entry, error))
            self.model.apply(entry)
            self.note({"n": self.number, "done": True})
        print(self.number)


def read_ledger(path):
    """The acknowledged operations, and the one that was not acknowledged, if any."""
    waiting, done = None, []
    with open(path) as file:
        for line in file:
            if not line.endswith("\n"):
                break
            entry = json.loads(line)
            if "op" in entry:
                waiting = entry
            elif "done" in entry:
                done.append(waiting)
                waiting = None
    return done, waiting


def differences(directory, model, is_lost):
    """What of a model is not so in the directory."""
    found = []
    prefix = "%d-" % model.seed
    there = {name for name in os.listdir(directory) if name.startswith(prefix)}
    expected = set(model.names) | model.directories
    for name in sorted(expected - there):
        found.append("%s is missing" % name)
    for name in sorted(there - expected):
        found.append("%s should not be there" % name)
    for name in sorted(model.directories & there):
        if not os.path.isdir(os.path.join(directory, name)):
            found.append("%s is no directory" % name)
    for name in sorted(set(model.names) & there):
        file = model.names[name]
        path = os.path.join(directory, name)
        with open(path, "rb") as opened:
            content = opened.read()
            links = os.fstat(opened.fileno()).st_nlink
        wanted = model.content(file, model.records[file])
        least = len(model.content(file, model.durable[file])) if is_lost else len(wanted)
        if not wanted.startswith(content):
            at = next(
                (i for i, (a, b) in enumerate(zip(content, wanted)) if a != b), len(wanted)
            )
            found.append("%s differs at byte %d of %d" % (name, at, len(content)))
        elif len(content) < least:
            found.append("%s has %d of %d bytes" % (name, len(content), least))
        if links != sum(other == file for other in model.names.values()):
            found.append("%s has %d links" % (name, links))
    return found


def check(directory, ledgers):
    problems, total = [], 0
    for argument in ledgers:
        is_lost = argument.startswith("lost:")
        path = argument.removeprefix("lost:")
        done, waiting = read_ledger(path)
        total += len(done)
        entries = done + ([waiting] if waiting else [])
        if not entries:
            continue
        seed = int(entries[0]["name"].split("-")[0])
        model = Model(seed)
        for entry in done:
            model.apply(entry)
        found = differences(directory, model, is_lost)
        if found and waiting:
            model.apply(waiting)
            with_it = differences(directory, model, is_lost)
            if with_it:
                found.append("and with %s: %s" % (waiting, "; ".join(with_it[:5])))
            else:
                found = []
        problems += ["%s: %s" % (os.path.basename(path), text) for text in found]
    print("%d operations" % total)
    if problems:
        sys.exit("\n".join(problems[:40]))


if sys.argv[1] == "run":
    Storm(sys.argv[2], sys.argv[3], int(sys.argv[4])).run(sys.argv[5])
else:
    check(sys.argv[2], sys.argv[3:])
