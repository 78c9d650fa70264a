"""A report of reaper_rollout as one HTML file: no script, no font, no picture, nothing from elsewhere.

    python3 reaper_report_html.py REPORT.json >REPORT.html

The nodes that need a human come first, then the roll-out as a timeline, all nodes as a table, and
what changed in containerd's configuration, once for all nodes with the same change.
"""

import html
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import reaper_rollout as rollout  # noqa: E402  pylint: disable=wrong-import-position

TITLES = {
    "install": "Install",
    "verify": "Verify",
    "upgrade": "Upgrade",
    "rollback": "Roll back",
    "uninstall": "Uninstall",
}

# the colours of both themes; tests/node/test_rollout_report.py computes their contrast
LIGHT = {
    "ground": "#ffffff",
    "panel": "#f4f5f7",
    "line": "#cfd4dc",
    "text": "#1b1f24",
    "soft": "#4d5763",
    "link": "#0b57a4",
    "good": "#176b37",
    "same": "#4d5763",
    "bad": "#a8201a",
    "warn": "#7a4b00",
    "p0": "#5b7083",
    "p1": "#2f6fb0",
    "p2": "#1d7f6b",
    "p3": "#7a5aa8",
    "p4": "#96690f",
    "p5": "#6b6f2a",
}
DARK = {
    "ground": "#14171b",
    "panel": "#1e2329",
    "line": "#3a424c",
    "text": "#e8ebef",
    "soft": "#a9b3bf",
    "link": "#7db7f0",
    "good": "#6fce92",
    "same": "#a9b3bf",
    "bad": "#ff8f86",
    "warn": "#efb75a",
    "p0": "#8fa3b5",
    "p1": "#6ea8e0",
    "p2": "#57b9a4",
    "p3": "#b095dc",
    "p4": "#cf9f45",
    "p5": "#a5aa57",
}

# role -> colour; what is not named here is the last one
PHASES = {
    "preflight": "p0",
    "install": "p1",
    "upgrade": "p1",
    "containerd": "p2",
    "verify": "p3",
    "kubernetes": "p4",
    "rollback": "p5",
    "uninstall": "p5",
}

KINDS = {
    "ok": "good",
    "unchanged": "same",
    "untouched": "same",
    "failed": "bad",
    "unreachable": "bad",
    "rolled_back": "warn",
}
SIGNS = {"good": "✓", "same": "–", "bad": "✗", "warn": "↩"}

STYLE = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--ground);color:var(--text);
font:1rem/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
p{margin:.4rem 0}
.soft{color:var(--soft)}
.good{color:var(--good)}.same{color:var(--same)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.state{font-weight:600;white-space:nowrap}
code,pre,.hash{font-family:ui-monospace,"SFMono-Regular",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.88em}
.hash{overflow-wrap:anywhere}
ul.facts{display:flex;flex-wrap:wrap;gap:.3rem 1.6rem;list-style:none;margin:.8rem 0 0;padding:0}
.card{border:1px solid var(--line);border-left:.35rem solid currentColor;border-radius:.3rem;padding:.6rem .9rem;
margin:.6rem 0;background:var(--panel)}
.card>*{color:var(--text)}.card .state{color:inherit}
.card h3{margin:0;font-size:1.05rem;overflow-wrap:anywhere}
.card p{overflow-wrap:anywhere}
.scroll{overflow-x:auto}
.scroll:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}
ul.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:0 0 .6rem;padding:0;font-size:.9rem}
ul.key i{display:inline-block;width:.9rem;height:.9rem;border-radius:.15rem;margin-right:.4rem;vertical-align:-.1rem}
.time{display:grid;grid-template-columns:minmax(5rem,14rem) 1fr;gap:.15rem .7rem;align-items:center;font-size:.86rem}
.time .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar{position:relative;height:1rem;background:var(--panel);border-radius:.15rem}
.bar i{position:absolute;top:0;bottom:0;min-width:2px;border-radius:.1rem}
.bar i.x{outline:2px solid var(--bad);outline-offset:-2px}
.bar b{position:absolute;left:.4rem;font-weight:400;color:var(--soft);font-size:.78rem;line-height:1rem}
.axis{display:flex;justify-content:space-between;color:var(--soft);font-size:.8rem}
.p0{background:var(--p0)}.p1{background:var(--p1)}.p2{background:var(--p2)}.p3{background:var(--p3)}
.p4{background:var(--p4)}.p5{background:var(--p5)}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--soft);padding-bottom:.3rem}
th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{border-bottom:2px solid var(--line)}
td.n,th.n{text-align:right}
tbody th{font-weight:600;overflow-wrap:anywhere}
details{border:1px solid var(--line);border-radius:.3rem;margin:.5rem 0;background:var(--panel)}
summary{padding:.45rem .8rem;cursor:pointer}
pre{margin:0;padding:.4rem .8rem .8rem;overflow-x:auto;line-height:1.4}
pre ins{color:var(--good);text-decoration:none}pre del{color:var(--bad);text-decoration:none}
@media (max-width:40rem){
.time{grid-template-columns:1fr;gap:0}.time .bar{margin-bottom:.35rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,caption,tbody,tr,td,tbody th{display:block;width:100%}
tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td,tbody th,td.n{border:0;padding:.05rem 0;text-align:left}
td[data-h]::before{content:attr(data-h) ": ";color:var(--soft)}
}
@media print{body{max-width:none}details{break-inside:avoid}}
"""


def e(text):
    """Any text, for HTML; control characters have no place in a page."""
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(text))
    return html.escape(text, quote=True)


def variables(colours):
    return ";".join("--%s:%s" % pair for pair in colours.items())


def state(node, dry_run):
    kind = KINDS.get(node["state"], "bad")
    return '<span class="state %s">%s %s</span>' % (
        kind,
        SIGNS[kind],
        e(rollout.word(node, dry_run)),
    )


def title(report):
    said = TITLES.get(report["play"], report["play"] or "Roll-out")
    if report["dry_run"]:
        said += " (dry run)"
    return "Reaper: %s%s" % (said, " on " + report["subject"] if report["subject"] else "")


def header(report):
    facts = [
        ("Started", report["started"]),
        ("Took", rollout.duration(report["seconds"])),
    ]
    if report["package"]:
        facts.append(("Package", report["package"]))
    items = "".join(
        '<li><span class="soft">%s</span> <span class="hash">%s</span></li>' % (name, e(value))
        for name, value in facts
    )
    return '<h1>%s</h1>\n<p>%s</p>\n<ul class="facts">%s</ul>' % (
        e(title(report)),
        e(rollout.summary(report)),
        items,
    )


def humans(report):
    parts = ['<h2 id="human">Nodes that need a human</h2>']
    bad = [n for n in rollout.in_order(report["nodes"]) if n["state"] in rollout.NEED_HUMAN]
    if not bad:
        return parts[0] + "\n<p>None.</p>"
    said = dict(rollout.problems(report))
    for node in bad:
        kind = KINDS[node["state"]]
        parts.append(
            '<div class="card %s"><h3>%s %s</h3><p>%s</p>'
            % (kind, e(node["node"]), state(node, report["dry_run"]), e(said[node["node"]]))
        )
        if rollout.config_state(node):
            parts.append('<p class="hash">%s</p>' % e(rollout.config_state(node)))
        parts.append("</div>")
    return "\n".join(parts)


def colour(phase):
    return PHASES.get(phase, "p5")


def spans(node, whole):
    """The bars of one node; what is below a thousandth of the whole is drawn at its least width."""
    drawn = []
    for phase, start, end, outcome in node["phases"]:
        drawn.append(
            '<i class="%s%s" style="left:%.2f%%;width:%.2f%%"></i>'
            % (
                colour(phase),
                " x" if outcome == "failed" else "",
                100.0 * start / whole,
                100.0 * max(0.0, end - start) / whole,
            )
        )
    return "".join(drawn)


def merged(phases):
    """The same phases with tasks of one role put together, whatever became of them."""
    out = []
    for phase, start, end, outcome in phases:
        if out and out[-1][0] == phase and out[-1][3] != "failed" and outcome != "failed":
            out[-1][2] = end
        else:
            out.append([phase, start, end, outcome])
    return out


def told(node, phases):
    """A node's line of the timeline for those who do not see it."""
    if not phases:
        return "%s: nothing was done" % node["node"]
    said = ", ".join(
        "%s%s %.1f to %.1f s" % (p[0], " failed" if p[3] == "failed" else "", p[1], p[2])
        for p in phases
    )
    return "%s: %s" % (node["node"], said)


def timeline(report):
    whole = max([n["end"] or 0.0 for n in report["nodes"]] + [0.1])
    seen = []
    rows = []
    for node in sorted(report["nodes"], key=lambda n: (n["start"] is None, n["start"] or 0.0)):
        phases = merged(node["phases"])
        for phase in phases:
            if phase[0] not in seen:
                seen.append(phase[0])
        bar = spans(dict(node, phases=phases), whole)
        if not bar:
            bar = "<b>%s</b>" % e(rollout.word(node, report["dry_run"]))
        rows.append(
            '<span class="name" aria-hidden="true">%s</span><span class="bar" role="img" aria-label="%s">%s</span>'
            % (e(node["node"]), e(told(node, phases)), bar)
        )
    key = "".join('<li><i class="%s"></i>%s</li>' % (colour(p), e(p)) for p in seen)
    return "\n".join(
        [
            '<h2 id="time">Timeline</h2>',
            '<ul class="key">%s</ul>' % key if key else "",
            '<div class="time">',
            "\n".join(rows),
            '<span></span><span class="axis" aria-hidden="true"><span>0</span><span>%s</span><span>%s</span></span>'
            % (rollout.duration(whole / 2), rollout.duration(whole)),
            "</div>",
        ]
    )


def nodes(report):
    heads = rollout.COLUMNS
    right = (6, 7)
    lines = [
        '<h2 id="nodes">Nodes</h2>',
        '<div class="scroll" role="region" aria-labelledby="nodes" tabindex="0"><table>',
        "<caption>Each node, those that need a human first</caption>",
        "<thead><tr>%s</tr></thead><tbody>"
        % "".join(
            '<th scope="col"%s>%s</th>' % (' class="n"' if i in right else "", e(h))
            for i, h in enumerate(heads)
        ),
    ]
    for node in rollout.in_order(report["nodes"]):
        cells = rollout.row(node, report["dry_run"])
        line = '<tr><th scope="row">%s</th><td>%s</td>' % (e(cells[0]), state(node, report["dry_run"]))
        for i in range(2, len(cells)):
            line += '<td data-h="%s"%s>%s</td>' % (
                heads[i],
                ' class="n"' if i in right else "",
                e(cells[i]),
            )
        lines.append(line + "</tr>")
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def marked(diff):
    out = []
    for line in diff.rstrip("\n").split("\n"):
        tag = {"+": "ins", "-": "del"}.get(line[:1])
        out.append("<%s>%s</%s>" % (tag, e(line), tag) if tag else e(line))
    return "\n".join(out)


def changes(report):
    """Each different change once, with the nodes it is of."""
    groups = {}
    for node in report["nodes"]:
        if node["diff"]:
            groups.setdefault(node["diff"], []).append(node["node"])
    if not groups:
        return ""
    parts = ['<h2 id="changes">Changes of containerd&rsquo;s configuration</h2>']
    for diff, names in groups.items():
        head = names[0] if len(names) == 1 else "%d nodes: %s" % (len(names), ", ".join(names[:6]))
        if len(names) > 6:
            head += " …"
        parts.append(
            "<details%s><summary>%s</summary>\n<pre>%s</pre></details>"
            % (" open" if len(groups) == 1 else "", e(head), marked(diff))
        )
    return "\n".join(parts)


def render(report):
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        # a page that could fetch nothing even if somebody put something into it
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">',
        "<title>%s</title>" % e(title(report)),
        "<style>:root{%s}" % variables(LIGHT),
        "@media (prefers-color-scheme:dark){:root{%s}}%s</style>\n</head>\n<body>\n<main>"
        % (variables(DARK), STYLE),
        header(report),
        humans(report),
        timeline(report),
        nodes(report),
        changes(report),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def main(arguments):
    if len(arguments) != 1:
        print("usage: reaper_report_html.py REPORT.json >REPORT.html", file=sys.stderr)
        return 2
    with open(arguments[0], encoding="utf-8") as file:
        sys.stdout.write(render(json.load(file)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
