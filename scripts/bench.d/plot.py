"""The plot of ratio by block size and depth: a panel per LUN, a group per case, a bar per path."""

WIDTH, PANEL, LEFT, TOP = 1120, 250, 60, 56
SCALE = 150
COLOURS = ["#4477aa", "#228833", "#ee6677", "#ccbb44", "#66ccee", "#aa3377", "#888888"]
ORDER = ["local", "floor", "coordinator", "remote", "redirected"]


def text(x, y, words, size=12, anchor="middle"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s">%s</text>' % (
        x, y, size, anchor, words,
    )  # fmt: skip


def bar(x, base, width, one, unit, colour, label):
    """A median, the lowest and the highest round as a line through its end, and the figure."""
    height = one.ratio * unit
    low, high = min(one.ratios) * unit, max(one.ratios) * unit
    middle = x + width / 2
    return [
        '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>'
        % (x, base - height, width - 1, height, colour, label),
        '<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#222"/>'
        % (middle, middle, base - low, base - high),
        text(middle, base - max(high, height) - 3, "%.2f" % one.ratio, 8),
    ]


def panel(series, lun, top, paths):
    cases = list(dict.fromkeys(
        case for (case, kind, _), one in series.items() if kind == lun and one.ratios
    ))  # fmt: skip
    shown = [
        one for (case, kind, path), one in series.items()
        if kind == lun and path != "raw" and one.ratios
    ]  # fmt: skip
    most = max([1.0] + [max(one.ratios) for one in shown])
    unit, base = SCALE / most, top + SCALE + 24
    parts = [text(LEFT, top + 8, "%s-backed LUN" % lun, 14, "start")]
    for step in range(int(most * 4) + 1):
        y = base - step / 4 * unit
        dark = "#222" if step == 4 else "#ddd"
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s"/>' % (
            LEFT, WIDTH - 10, y, y, dark))  # fmt: skip
        parts.append(text(LEFT - 6, y + 4, "%.2f" % (step / 4), 11, "end"))
    room = (WIDTH - LEFT - 10) / max(len(cases), 1)
    for index, case in enumerate(cases):
        present = [path for path in paths if (case, lun, path) in series]
        width = min((room - 12) / max(len(present), 1), 30)
        x = LEFT + index * room + (room - width * len(present)) / 2
        for path in present:
            label = "%s, %s" % (case, path)
            colour = COLOURS[paths.index(path) % len(COLOURS)]
            parts += bar(x, base, width, series[case, lun, path], unit, colour, label)
            x += width
        words = case.split("-")
        middle = LEFT + (index + 0.5) * room
        parts.append(text(middle, base + 15, words[0], 10))
        parts.append(text(middle, base + 28, " ".join(words[1:]), 10))
    return parts


def draw(series):
    luns = list(dict.fromkeys(lun for _, lun, _ in series))
    seen = {path for (_, _, path), one in series.items() if path != "raw" and one.ratios}
    paths = [path for path in ORDER if path in seen] + sorted(seen - set(ORDER))
    height = TOP + PANEL * len(luns)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">'
        % (WIDTH, height),
        '<rect width="100%" height="100%" fill="#fff"/>',
        text(LEFT, 20, "Operations a second, as a ratio to the raw LUN of that round", 15, "start"),
    ]
    x = LEFT
    for index, path in enumerate(paths):
        colour = COLOURS[index % len(COLOURS)]
        parts.append('<rect x="%d" y="30" width="11" height="11" fill="%s"/>' % (x, colour))
        parts.append(text(x + 16, 40, path, 12, "start"))
        x += 30 + 8 * len(path)
    for index, lun in enumerate(luns):
        parts += panel(series, lun, TOP + PANEL * index, paths)
    return "\n".join(parts + ["</svg>", ""])
