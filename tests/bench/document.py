#!/usr/bin/env python3
"""docs/BENCHMARKS.md and its plots, made from a run's CSV: document.py RESULTS-DIR DOCS-DIR.

RESULTS-DIR is the log directory of scripts/run-benchmarks.sh: results.csv, syscalls.csv and about.txt. What a row must
reach is in targets.txt, what is to be said of one that does not in notes.txt, why a system call is made in syscalls.txt.
"""

import collections
import csv
import pathlib
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ("reaper", "runc", "crun", "floor")
COLOURS = {"reaper": "#0b6e4f", "runc": "#c0392b", "crun": "#d68910", "floor": "#777777"}
SCALE = ("start", "memory", "stats", "mounts", "restart")
WHAT = {"start": "one more pod up", "memory": "private dirty memory of a shim", "stats": "a Stats call",
        "mounts": "mounts in a workload's namespace", "restart": "containerd killed until it answers"}  # fmt: skip


def table(name):
    lines = (HERE / name).read_text().splitlines() if (HERE / name).exists() else []
    return [line for line in lines if line.strip() and not line.startswith("#")]


def load(path):
    """({row: {peer: [values]}}, {row: unit})"""
    values, units = collections.defaultdict(lambda: collections.defaultdict(list)), {}
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            values[line["row"]][line["peer"]].append(float(line["value"]))
            units[line["row"]] = line["unit"]
    return values, units


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cell(values):
    """The median, and the middle half of the values where there are enough."""
    if not values:
        return ""
    text = number(statistics.median(values))
    if len(values) >= 4:
        quarters = statistics.quantiles(values, n=4)
        text += f" ({number(quarters[0])}–{number(quarters[2])})"
    return text


def verdict(found, of, limit):
    """(what was reached, in words; whether that is enough, None without a limit)"""
    ours = statistics.median(found["reaper"])
    if of == "self":
        got, words = ours, number(ours)
    elif of == "floor":
        got = ours - statistics.median(found["floor"])
        words = f"{got:+.2g} ms"
    else:
        other = statistics.median(found["floor" if of == "xfloor" else of])
        got = ours / other if other else float("inf")
        words = f"{got:.2f}" if of != "xfloor" else f"{got:.2f}× floor"
    if limit == "-":
        return words, None
    bound = float(limit.lstrip("+"))
    return words, got >= bound if limit.startswith("+") else got <= bound


def results(values, units):
    yield "| what | row | Reaper | runc | crun | floor | reached | target |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    missed = []
    for line in table("targets.txt"):
        row, of, limit, what = line.split(None, 3)
        found = values.get(row)
        if not found or "reaper" not in found or (of in ("runc", "crun") and of not in found):
            yield f"| {what} | {row} | not measured in this run | | | | | |"
            continue
        words, enough = verdict(found, of, limit)
        cells = " | ".join(cell(found.get(peer)) for peer in PEERS)
        target = {"-": ""}.get(limit, ("≥ " if limit.startswith("+") else "≤ ") + limit.lstrip("+"))
        yield f"| {what} | {row} ({units[row]}) | {cells} | {words}{'' if enough is not False else ' **missed**'} | {target} |"
        if enough is False and row not in missed:
            missed.append(row)
    notes = dict(line.split(None, 1) for line in table("notes.txt"))
    if missed:
        yield ""
        yield "What is missed in this run, and what the rest is spent on:"
        yield ""
        for row in missed:
            yield f"- `{row}`: {notes.get(row, 'no profile yet.')}"


def scale(values, units):
    counts = sorted({int(row.rpartition("_")[2]) for row in values if row.startswith("scale_")})
    if not counts:
        return
    yield "| what | peer | " + " | ".join(f"{count} pods" for count in counts) + " |"
    yield "| --- | --- |" + " --- |" * len(counts)
    for kind in SCALE:
        for peer in ("reaper", "runc"):
            cells = [cell(values[f"scale_{kind}_{count}"].get(peer)) for count in counts]
            if any(cells):
                yield f"| {WHAT[kind]} ({units[f'scale_{kind}_{counts[0]}']}) | {peer} | " + " | ".join(cells) + " |"
    notes = dict(line.split(None, 1) for line in table("notes.txt"))
    yield ""
    for kind in SCALE:
        if f"scale_{kind}" in notes:
            yield f"- {WHAT[kind]}: {notes[f'scale_{kind}']}"


def calls(path):
    why = {tuple(line.split(None, 2)[:2]): line.split(None, 2)[2] for line in table("syscalls.txt")}
    totals = collections.Counter()
    rows = []
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            totals[line["program"]] += int(line["count"])
            rows.append(f"| {line['program']} | {line['call']} | {line['count']} | {why.get((line['program'], line['call']), '')} |")
    yield ", ".join(f"`{program}`: {total}" for program, total in totals.items()) + "."
    yield ""
    yield "| program | call | count | what for |"
    yield "| --- | --- | --- | --- |"
    yield from rows


# ---- plots: SVG by hand, nothing is needed to look at them ----


def svg(title, body, width=640, height=360):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n<text x="16" y="22" font-size="15">{title}</text>\n'
            + "\n".join(body) + "\n</svg>\n")  # fmt: skip


def axes(x_label, y_label, top):
    return [f'<path d="M60 40V310H620" fill="none" stroke="black"/><text x="340" y="350" text-anchor="middle">{x_label}</text>',
            f'<text x="16" y="180" transform="rotate(-90 16 180)" text-anchor="middle">{y_label}</text>',
            f'<text x="54" y="46" text-anchor="end">{number(top)}</text><text x="54" y="312" text-anchor="end">0</text>']  # fmt: skip


def line_plot(title, x_label, y_label, lines, ticks=None):
    """lines: {name: [(x, y)]}, x from 0 to 1."""
    top = max((y for points in lines.values() for _, y in points), default=1) or 1
    body = axes(x_label, y_label, top)
    for place, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{60 + 550 * x:.1f},{310 - 265 * y / top:.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS.get(name, "black")}" stroke-width="2"/>')
        body.append(f'<text x="{70 + 80 * place}" y="38" fill="{COLOURS.get(name, "black")}">{name}</text>')
    for x, text in ticks or ():
        body.append(f'<text x="{60 + 550 * x:.1f}" y="328" text-anchor="middle">{text}</text>')
    return svg(title, body)


def distribution(values, row, title):
    """Each value at its share of all that are no larger: the whole distribution, tails included."""
    lines = {}
    for peer in PEERS:
        sorted_values = sorted(values[row].get(peer, ()))
        if sorted_values:
            last = max(1, len(sorted_values) - 1)
            lines[peer] = [(i / last, v) for i, v in enumerate(sorted_values)]
    return line_plot(title, "share of the measurements", "ms", lines, [(0, "0"), (0.5, "50 %"), (1, "100 %")])


def over_pods(values, kind, unit):
    counts = sorted({int(row.rpartition("_")[2]) for row in values if row.startswith(f"scale_{kind}_")})
    lines = {}
    for peer in ("reaper", "runc"):
        points = [(count / max(counts), statistics.median(values[f"scale_{kind}_{count}"][peer])) for count in counts
                  if values[f"scale_{kind}_{count}"].get(peer)]  # fmt: skip
        if points:
            lines[peer] = points
    return line_plot(WHAT[kind], "pods on the node", unit, lines, [(c / max(counts), c) for c in counts[-3:]])


def plots(values, units, directory):
    directory.mkdir(exist_ok=True)
    made = {}
    for row, title in (("task_life", "a task's whole life at the shim"), ("cri_pod_up", "CRI pod up")):
        if row in values:
            made[f"latency-{row}.svg"] = distribution(values, row, title)
    for kind in ("memory", "start", "restart"):
        if f"scale_{kind}_1" in values:
            made[f"scale-{kind}.svg"] = over_pods(values, kind, units[f"scale_{kind}_1"])
    for name, text in made.items():
        (directory / name).write_text(text)
    return [f"![{name.removesuffix('.svg')}](benchmarks/{name})" for name in made]


def main():
    source, docs = map(pathlib.Path, sys.argv[1:3])
    values, units = load(source / "results.csv")
    lines = ["# Benchmarks", "",
             "Made by `scripts/run-benchmarks.sh --document`: nothing on this page is written by hand. The peers are containerd's",
             "runc shim with runc, and with crun; the floor is `tests/bench/floor.c`. Each round measures each peer in turn after a",
             "warm-up; a cell is the median, with the middle half of the values where there are four and more. Times depend on the",
             "machine and its load: ratios travel, times do not. [tests/bench](../tests/bench/README.md) says how, and every value of",
             "this run is in [results.csv](benchmarks/results.csv).", "",
             (source / "about.txt").read_text().strip(), "", "## Against the peers", "", *results(values, units),
             "", "## With the number of pods", "", *scale(values, units), "", "## Plots", ""]  # fmt: skip
    lines += plots(values, units, docs / "benchmarks")
    if (source / "syscalls.csv").exists():
        lines += ["", "## System calls of `start` and of `init`", "",
                  "Of one task of `true` in a group that exists, counted by `tests/support/sysfault`.", "",
                  *calls(source / "syscalls.csv")]  # fmt: skip
    shutil.copyfile(source / "results.csv", docs / "benchmarks/results.csv")
    (docs / "BENCHMARKS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
