"""Results of the comparison: JSON, Markdown, SVG; and how they get into docs/performance.md."""

import json
import re
import statistics

import plot
from machine import RESULTS, ROOT, Failure

DATA_PATHS = ["raw", "local", "floor", "coordinator", "remote", "redirected"]
# What part 3 asks for: the least ratio to raw, for memory and disk; for latency the most µs above.
GOALS = {
    "randread-4k-qd32": {"disk": 0.90, "memory": 0.55},
    "randwrite-4k-qd32": {"disk": 0.90, "memory": 0.55},
    "randread-64k-qd8": {"disk": 0.95, "memory": 0.50},
    "randwrite-64k-qd8": {"disk": 0.95, "memory": 0.50},
    "read-1m-qd8": {"disk": 0.95, "memory": 0.40},
    "write-1m-qd8": {"disk": 0.95, "memory": 0.40},
    "firstwrite-1m-qd8": {"disk": 0.5, "memory": 0.3},
}
LATENCY_GOALS = {"disk": 25, "memory": 20}
LATENCY_CASES = ["randread-4k-qd1", "randwrite-4k-qd1"]
REDIRECTED_GOALS = {"disk": 0.4}
METADATA = ("create-", "stat-", "unlink-")


class Series:
    """One case on one path: its rounds, and those of the raw LUN beside it."""

    def __init__(self, rows, raw):
        self.rows = rows
        self.iops = [row["iops"] for row in rows]
        before = {row["round"]: row for row in raw}
        pairs = [(row, before[row["round"]]) for row in rows if row["round"] in before]
        # Each round against the raw LUN of that round: what the machine does meanwhile cancels out.
        self.ratios = [row["iops"] / other["iops"] for row, other in pairs]
        self.added = [row["latencyMicroseconds"] - o["latencyMicroseconds"] for row, o in pairs]

    def median(self, name):
        return statistics.median(row[name] for row in self.rows)

    @property
    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None


def group(rows):
    each = {}
    for row in rows:
        each.setdefault((row["case"], row["lun"], row["path"]), []).append(row)
    return {
        key: Series(own, each.get((key[0], key[1], "raw"), [])) for key, own in each.items()
    }


def results(series):
    """The objects of results.json. Metadata have no raw LUN to compare with: no ratio."""
    return [
        {
            "case": case, "lun": lun, "path": path, "iops": round(one.median("iops"), 1),
            "mbps": round(one.median("mbps"), 1),
            "latencyMicroseconds": round(one.median("latencyMicroseconds"), 1),
            "ratio": None if one.ratio is None else round(one.ratio, 3), "rounds": len(one.rows),
        }
        for (case, lun, path), one in series.items()
    ]  # fmt: skip


def number(value):
    if value >= 1e4:
        return "%.0fk" % (value / 1e3)
    return "%.1fk" % (value / 1e3) if value >= 1e3 else "%.0f" % value


def span(values, form="%.2f"):
    if len(values) < 2:
        return ""
    return " (%s–%s)" % (form % min(values), form % max(values))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def unique(values):
    return list(dict.fromkeys(values))


def ordered(paths):
    return [path for path in DATA_PATHS if path in paths] + [
        path for path in unique(paths) if path not in DATA_PATHS
    ]


def data_cell(series, key):
    one = series.get(key)
    if one is None:
        return "-"
    is_large = "-1m-" in key[0]
    speed = "%.0f MB/s" % one.median("mbps") if is_large else number(one.median("iops")) + "/s"
    if key[2] == "raw":
        low, high = min(one.iops) / one.median("iops"), max(one.iops) / one.median("iops")
        variance = " (±%.0f %%)" % (max(1 - low, high - 1) * 100) if len(one.iops) > 1 else ""
        return speed + variance
    return "%s, **%.2f**%s" % (speed, one.ratio, span(one.ratios))


def latency_cell(series, key):
    one = series.get(key)
    if one is None:
        return "-"
    text = "%.0f µs" % one.median("latencyMicroseconds")
    if key[2] == "raw":
        return text + span([row["latencyMicroseconds"] for row in one.rows], "%.0f")
    return "%s, **%+.0f**%s" % (text, statistics.median(one.added), span(one.added, "%+.0f"))


def metadata_cell(series, key):
    one, local = series.get(key), series.get((key[0], key[1], "local"))
    if one is None:
        return "-"
    if key[2] == "local" or local is None:
        return number(one.median("iops"))
    ratios = [mine / theirs for mine, theirs in zip(one.iops, local.iops)]
    return "%s, **%.3f**%s" % (
        number(one.median("iops")), statistics.median(ratios), span(ratios, "%.3f"),
    )  # fmt: skip


def lun_tables(series, lun):
    cases = unique(case for case, kind, _ in series if kind == lun)
    data = [case for case in cases if not case.startswith(METADATA)]
    paths = ordered([path for case, kind, path in series if kind == lun and case in data])
    lines = ["**Data, %s-backed LUN.** Speed and, bold, its ratio to raw." % lun, ""]
    lines += table(
        ["case"] + paths, [[c] + [data_cell(series, (c, lun, p)) for p in paths] for c in data]
    )
    single = [case for case in data if case in LATENCY_CASES]
    if single:
        lines += ["**Latency, %s-backed LUN.** Mean, and, bold, what it adds to raw." % lun, ""]
        lines += table(
            ["case"] + paths,
            [[c] + [latency_cell(series, (c, lun, p)) for p in paths] for c in single],
        )
    metadata = [case for case in cases if case.startswith(METADATA)]
    if metadata:
        paths = ordered([path for case, kind, path in series if kind == lun and case in metadata])
        lines += ["**Metadata, %s-backed LUN.** Operations a second by 1 and by 8 processes, and, "
                  "bold, the ratio to the local file system." % lun, ""]
        lines += table(
            ["case"] + paths,
            [[c] + [metadata_cell(series, (c, lun, p)) for p in paths] for c in metadata],
        )
    return lines


def goal_rows(series):
    """What is asked, and beside it what the floor has in that case on that LUN."""
    for (case, lun, path), one in series.items():
        floor = series.get((case, lun, "floor"))
        floor_ratio = "%.3f" % floor.ratio if floor else ""
        if path in ("remote", "coordinator") and lun in GOALS.get(case, {}):
            goal = GOALS[case][lun]
            row = [case, lun, path, "at least %.2f" % goal, "%.3f" % one.ratio, floor_ratio]
            yield row, one.ratio >= goal
        elif path in ("remote", "coordinator") and case in LATENCY_CASES:
            added, goal = statistics.median(one.added), LATENCY_GOALS[lun]
            beside = "raw %+.0f µs" % statistics.median(floor.added) if floor else ""
            row = [case, lun, path, "raw + %d µs" % goal, "raw %+.0f µs" % added, beside]
            yield row, added <= goal
        elif path == "redirected" and "-1m-" in case and lun in REDIRECTED_GOALS:
            goal = REDIRECTED_GOALS[lun]
            row = [case, lun, path, "at least %.2f" % goal, "%.3f" % one.ratio, floor_ratio]
            yield row, one.ratio >= goal


def against_coordinator(series):
    """How much slower the node is that is not the coordinator."""
    for (case, lun, path), one in series.items():
        beside = series.get((case, lun, "coordinator"))
        if path == "remote" and beside and not case.startswith(METADATA + ("append", "randfirst")):
            share = statistics.median(a / b for a, b in zip(one.iops, beside.iops))
            yield "%s %s %.2f" % (case, lun, share), share >= 0.9


def markdown(about, series):
    lines = [
        "- **Date** %(date)s, %(minutes)s minutes. **Revision** %(revision)s. **Machine**: "
        "%(machine)s." % about,
        "- **Rounds** %(rounds)s, of %(seconds)s s a case; medians, and in brackets the lowest and "
        "the highest round. **LUN**: %(device)s." % about,
    ]
    lines += ["- Absent: %s" % line for line in about["absent"]] + [""]
    for lun in unique(lun for _, lun, _ in series):
        lines += lun_tables(series, lun)
    goals = list(goal_rows(series))
    if goals:
        lines += ["**What part 3 asks.**", ""]
        lines += table(
            ["case", "LUN", "path", "asked", "seen", "floor", ""],
            [row + ["yes" if met else "**no**"] for row, met in goals],
        )
    slower = [text for text, met in against_coordinator(series) if not met]
    lines.append(
        "The node that is not the coordinator is within 10 % of the coordinator's own: "
        + ("everywhere." if not slower else "not in %s." % "; ".join(slower))
    )
    return "\n".join(lines) + "\n"


def write(about, rows):
    series = group(rows)
    text = markdown(about, series)
    (RESULTS / "results.json").write_text(json.dumps(results(series), indent=1) + "\n")
    (RESULTS / "results.md").write_text(text)
    (RESULTS / "ratios.svg").write_text(plot.draw(series))
    return text


def publish():
    """Puts the latest results of each part into docs/performance.md, and the plots beside it."""
    page = ROOT / "docs/performance.md"
    text = page.read_text()
    for part in ("results", "growth", "flame", "allocations", "profile"):
        source = RESULTS / (part + ".md")
        if not source.exists():
            continue
        pattern = re.compile("(<!-- %s -->\n).*?(<!-- end -->)" % part, re.DOTALL)
        content = source.read_text()
        if part == "results":
            content += "\n![Ratios to the raw LUN, by case and path](performance.svg)\n"
        text, count = pattern.subn(lambda match: match[1] + content + match[2], text)
        if count != 1:
            raise Failure("%s has no place for %s" % (page, part))
    page.write_text(text)
    drawing = RESULTS / "ratios.svg"
    if drawing.exists():
        (ROOT / "docs/performance.svg").write_text(drawing.read_text())
    for graph in RESULTS.glob("flame-*.svg"):
        (ROOT / "docs" / graph.name).write_text(graph.read_text())
