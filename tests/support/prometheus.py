"""Prometheus' text format, read more strictly than the collectors do: what promtool warns of is an error here."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)')
TYPES = {"counter", "gauge", "histogram"}


def family_of(name, types):
    """The family that a sample belongs to."""
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and types.get(base) == "histogram":
            return base
    return name


def parse(text):
    """{family: (type, {(sample, labels): value})}; AssertionError with the line for what is not valid."""
    assert text.endswith("\n")
    helps, types, families, current = {}, {}, {}, None
    for line in text.splitlines():
        if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            assert match[1] not in helps, f"twice: {line}"
            helps[match[1]] = match[2]
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (\w+)", line):
            current = match[1]
            assert current in helps and current not in types and match[2] in TYPES, line
            types[current], families[current] = match[2], (match[2], {})
        else:
            match = SAMPLE.fullmatch(line)
            assert match and family_of(match[1], types) == current, f"no sample of {current}: {line}"
            labels = tuple(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            assert (match[1], labels) not in families[current][1], f"twice: {line}"
            assert len({k for k, _ in labels}) == len(labels), line
            families[current][1][match[1], labels] = float(match[3])
    assert helps.keys() == types.keys()
    for name, (kind, samples) in families.items():
        check(name, kind, samples)
    return families


def check(name, kind, samples):
    assert name.endswith("_total") == (kind == "counter"), name
    assert not re.search(r"_(bucket|sum|count)$", name), name
    assert re.search(r"_(seconds|bytes|total|info)$", name) or kind == "gauge", f"{name}: no unit"
    assert all(v >= 0 for v in samples.values()), name
    if kind != "histogram":
        assert all(sample == name for sample, _ in samples)
        return
    buckets = [(float(dict(labels)["le"]), v) for (sample, labels), v in samples.items() if sample.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
    assert [v for _, v in buckets] == sorted(v for _, v in buckets), f"{name}: not cumulative"
    assert samples[f"{name}_count", ()] == buckets[-1][1] and (f"{name}_sum", ()) in samples
