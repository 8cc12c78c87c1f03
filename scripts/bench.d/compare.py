"""Raw LUN, local file system, floor, Covolume and peers, in alternating rounds."""

import json
import time

import floor
import loads
import peers
import report
from machine import GIB, LUN, RESULTS, Failure, Lab, describe, revision, say, workspace

STORM_PROCESSES = [1, 8]
# What a run of fio takes beside its seconds, and the set-up of one kind of LUN, as seen.
OVERHEAD_SECONDS = 0.4
SETUP_SECONDS = 35
# The whole, which a run's seconds follow from, and their bounds.
BUDGET_SECONDS = 600
SECONDS_MINIMUM, SECONDS_MAXIMUM = 0.5, 3.0


class Stage:
    """One kind of LUN with everything that is measured on it."""

    def __init__(self, stack, directory, kind, device, with_peers, floor_program):
        directory = directory / kind
        directory.mkdir()
        say("%s: LUNs" % kind)
        raw = LUN(stack, kind, "raw", loads.NEW_SIZE, device)
        local = LUN(stack, kind, "local", 2 * GIB, device)
        shared = LUN(stack, kind, "covolume", 4 * GIB, device)
        apart = LUN(stack, kind, "redirected", GIB, device)
        self.local = local.mount(stack, directory / "local")
        self.peers = [
            peer(stack, directory / peer.name, LUN(stack, kind, peer.name, 2 * GIB, device))
            for peer in with_peers
        ]
        floors = []
        if floor_program:
            lun = LUN(stack, kind, "floor", loads.NEW_SIZE, device)
            served = floor.Floor(stack, floor_program, directory / "floor", lun)
            floors.append(loads.Place("floor", served.target, cases=floor.CASES))
        say("%s: a lab of three nodes" % kind)
        lab = Lab(stack, directory / "lab")
        lab.add(shared, "Bench")
        lab.add(apart, "Apart")
        say("%s: files" % kind)
        self.places = [
            loads.Place("raw", raw.path),
            loads.Place.on("local", self.local.directory),
            *floors,
            loads.Place.on("coordinator", lab.volume("node1", "Bench"), name="bench-node1"),
            loads.Place.on("remote", lab.volume("node2", "Bench"), name="bench-node2"),
            loads.Place.on("redirected", lab.volume("node2", "Apart"), loads.REDIRECTED),
        ]
        self.places += [loads.Place.on(peer.name, peer.directory) for peer in self.peers]
        loads.steady(raw.path, loads.BY_NAME["write-1m-qd8"], 1, 1)
        lab.redirect("Apart")

    def storms(self):
        """Where metadata are measured: name, folder, and what to do before and after."""
        nothing = lambda: None  # noqa: E731
        for place in self.places:
            if place.directory and place.path != "redirected":
                yield place.path, place.directory, nothing, nothing
            if place.path == "local":
                # As durable as the coordinator's, which acknowledges nothing before its journal.
                yield (
                    "local, wsync", place.directory,
                    lambda: self.local.again("noatime,wsync"), lambda: self.local.again("noatime"),
                )  # fmt: skip


def data_round(stage, kind, number, rounds, cases, seconds, rows):
    for case in cases:
        places = [place for place in stage.places if case.name in place.cases]
        # Another one goes first in each round.
        turn = number % len(places)
        seen = {}
        for place in places[turn:] + places[:turn]:
            figures = loads.measure(place, case, seconds, seed=number + 1)
            rows.append(dict(case=case.name, lun=kind, path=place.path, round=number, **figures))
            seen[place.path] = figures["iops"]
        shown = "  ".join(
            "%s %s" % (place.path, "%.0f/s" % seen["raw"] if place.path == "raw"
                       else "%.2f" % (seen[place.path] / seen["raw"])) for place in places
        )  # fmt: skip
        say("%s, round %d of %d, %s: %s" % (kind, number + 1, rounds, case.name, shown))


def metadata_round(stage, kind, number, rounds, seconds, rows):
    for processes in STORM_PROCESSES:
        for path, directory, before, after in stage.storms():
            before()
            try:
                figures = loads.storm(directory, processes, seconds)
            finally:
                after()
            for what, values in figures.items():
                name = "%s-%dp" % (what, processes)
                rows.append(dict(case=name, lun=kind, path=path, round=number, **values))
            say("%s, round %d of %d, %d processes, %s: %s" % (
                kind, number + 1, rounds, processes, path,
                "  ".join("%s %.0f/s" % (what, row["iops"]) for what, row in figures.items()),
            ))  # fmt: skip


def estimate(options, cases, peer_count, with_floor):
    """What the comparison takes: seconds whatever a run takes, and how often a run's seconds."""
    runs = sum(4 + peer_count + (case.name in loads.REDIRECTED) for case in cases)
    runs += sum(case.name in floor.CASES for case in cases) if with_floor else 0
    storms = 0 if options.cases else len(STORM_PROCESSES) * (4 + peer_count)
    rounds = len(options.luns) * options.rounds
    fixed = len(options.luns) * SETUP_SECONDS + rounds * OVERHEAD_SECONDS * (runs + storms)
    return fixed, rounds * (runs + 3 * storms)


def compare(options):
    unknown = [name for name in options.cases if name not in loads.BY_NAME]
    if unknown:
        raise Failure("no case %s; there are %s" % (", ".join(unknown), ", ".join(loads.BY_NAME)))
    cases = [loads.BY_NAME[name] for name in options.cases] or loads.CASES
    present, absent = peers.find(options.peers)
    begin, rows = time.time(), []
    with workspace() as (_, programs):
        floor_program, why_not = floor.build(programs)
        absent += [why_not] if why_not else []
        for line in absent:
            say("absent: " + line)
        fixed, often = estimate(options, cases, len(present), floor_program)
        if not options.seconds:
            fitting = round((BUDGET_SECONDS - fixed) / often, 1)
            options.seconds = min(max(fitting, SECONDS_MINIMUM), SECONDS_MAXIMUM)
        say("%d rounds of %s s a case: about %.0f minutes" % (
            options.rounds, options.seconds, (fixed + often * options.seconds) / 60,
        ))  # fmt: skip
        for kind in options.luns:
            with workspace() as (stack, directory):
                stage = Stage(stack, directory, kind, options.device, present, floor_program)
                for number in range(options.rounds):
                    data_round(stage, kind, number, options.rounds, cases, options.seconds, rows)
                    if not options.cases:
                        metadata_round(stage, kind, number, options.rounds, options.seconds, rows)
    about = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(begin)) + " UTC",
        "machine": describe(), "revision": revision(), "device": options.device,
        "rounds": options.rounds, "seconds": options.seconds, "absent": absent,
        "minutes": round((time.time() - begin) / 60, 1),
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    everything = json.dumps({"about": about, "rows": rows}, indent=1)
    (RESULTS / "rounds.json").write_text(everything + "\n")
    print(report.write(about, rows))
