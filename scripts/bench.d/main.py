#!/usr/bin/env python3
"""The bench. Called by scripts/bench, which builds the programs first."""

import argparse
import sys

import allocations
import compare
import createprofile
import flame
import growth
import loads
import report
from machine import PLACES, Failure, say

EPILOG = """
parts:
  compare   (the default) raw LUN, local file system, the least FUSE server (floor), Covolume and
            peers in alternating rounds; writes .bench/results.json, results.md, ratios.svg,
            and rounds.json with every round
  growth    how cost grows; writes .bench/growth.md. Named parts alone: %s
  profile   where a remote create spends its time; writes .bench/profile.md
  allocations
            the daemons' heap allocations for each request, with the thresholds that
            scripts/bench.d/allocations.json has; fails beyond them
  flame     what of the processors' time an operation takes, by who takes it, on raw, floor and a
            remote node, and a flame graph; writes .bench/flame.md and flame-CASE.svg (cases by
            --cases, default randread-4k-qd32)
  publish   puts what is in .bench into docs/performance.md; measures nothing

cases: %s
""" % (", ".join(growth.PARTS), ", ".join(loads.BY_NAME))


def positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise ValueError
        return value

    return parse


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="compare",
                        choices=["allocations", "compare", "flame", "growth", "profile", "publish"])  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help="with growth: only these")
    parser.add_argument("--rounds", type=positive(int), default=3, help="default: 3")
    parser.add_argument("--seconds", type=positive(float),
                        help="for one run of one case; default: what makes compare ten minutes "
                        "long, and 2 otherwise")  # fmt: skip
    parser.add_argument("--luns", nargs="+", choices=sorted(PLACES), default=["memory", "disk"],
                        help="kinds of LUN; parts that use one use the first")  # fmt: skip
    parser.add_argument("--device", choices=["loop", "file"], default="loop",
                        help="what everybody opens: a loop device with direct I/O over an image, "
                        "or the image; default: loop")  # fmt: skip
    parser.add_argument("--cases", nargs="+", default=[], help="only these, and no metadata")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--idle", type=positive(float), default=20, help="seconds; default: 20")
    options = parser.parse_args()
    unknown = set(options.parts) - set(growth.PARTS)
    if unknown or (options.parts and options.part != "growth"):
        parser.error("no such part: %s" % " ".join(sorted(unknown) or options.parts))
    if options.part != "compare":
        options.seconds = options.seconds or 2.0
    try:
        if options.part == "publish":
            report.publish()
        else:
            parts = {"allocations": allocations.allocations, "compare": compare.compare,
                     "flame": flame.flame, "growth": growth.growth, "profile": createprofile.profile}  # fmt: skip
            parts[options.part](options)
    except Failure as error:
        say("bench: FAIL %s" % error)
        sys.exit(1)


main()
