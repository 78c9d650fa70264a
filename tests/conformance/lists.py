"""What is expected of each test of others' suites: SUITE-VERSION.txt beside this file, a line per test.

    pass NAME
    race NAME: what it races with; it passes when it is run alone
    fail NAME: why it cannot pass, or that runc's shim fails it too
    flaky NAME: seen with runc: what was seen
    omit NAME: why it is not run at all
"""

import pathlib
import re

HERE = pathlib.Path(__file__).parent
LINE = re.compile(r"(pass) (\S.*)|(race|fail|omit) ([^:]+(?:::?[^: ][^:]*)*): (\S.*)|(flaky) ([^:]+): (seen with runc: \S.*)")


class Expected:
    def __init__(self, suite, version, text=None):
        self.outcomes = {}
        self.reasons = {}
        path = HERE / f"{suite}-{version}.txt"
        for number, line in enumerate((path.read_text() if text is None else text).splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            match = LINE.fullmatch(line)
            if not match:
                raise ValueError(f"{path.name}:{number}: not a line of the format: {line}")
            groups = [g for g in match.groups() if g is not None]
            if groups[1] in self.outcomes:
                raise ValueError(f"{path.name}:{number}: {groups[1]} is listed twice")
            self.outcomes[groups[1]] = groups[0]
            self.reasons[groups[1]] = groups[2] if len(groups) > 2 else ""

    def races(self, results):
        """The tests to run again alone: they are listed as a race, and did not pass."""
        return [n for n, listed in self.outcomes.items() if listed == "race" and results.get(n, ("",))[0] != "pass"]

    def doubtful(self, results):
        """The tests of which runc's result decides: they did not pass, and no line says so."""
        names = self.outcomes.keys() | results.keys()
        expected = [n for n in names if self.outcomes.get(n) in ("pass", "race", None)]
        return sorted(n for n in expected if results.get(n, ("missing",))[0] != "pass")

    def omitted(self):
        return sorted(name for name, outcome in self.outcomes.items() if outcome == "omit")


def read_results(path):
    """name → (outcome, last words) of a results.tsv."""
    rows = (line.rstrip("\n").split("\t") for line in open(path))
    return {name: (outcome, words) for outcome, name, words in rows}


def judge(expected, ours, runcs):
    """What is wrong, a line each. `runcs`: the results of runc's shim on this machine in this run, at least
    of what is doubtful; what it does not pass is not asked of us."""
    problems = []
    for name in sorted(expected.outcomes.keys() | ours.keys()):
        listed = expected.outcomes.get(name)
        outcome, words = ours.get(name, ("missing", ""))
        runc = runcs.get(name, ("missing", ""))[0]
        if listed in ("flaky", "omit"):
            continue
        if outcome == "pass":
            if listed == "fail":
                problems.append(f"{name}: listed as failing ({expected.reasons[name]}) and passes: list it as passing")
            elif listed is None:
                problems.append(f"{name}: passes and is not in the list")
        elif listed in ("pass", "race") and runc == "pass":
            problems.append(f"{name}: {outcome}: {words}")
        elif listed is None and runc == "pass":
            problems.append(f"{name}: {outcome}, runc's shim passes it, and it is not in the list: {words}")
    return problems


def propose(ours, runcs, reason_of, race_of, old):
    """The lines of a list as a run shows it. A `fail` without a known reason is marked with what the test
    said, for somebody to look at."""
    lines = []
    for name in sorted(ours.keys() | runcs.keys()):
        outcome, words = ours.get(name, ("missing", ""))
        runc = runcs.get(name, ("missing", ""))[0]
        before = old.outcomes.get(name) if old else None
        if before == "omit":
            continue
        if before in ("flaky", "race"):
            lines.append(f"{before} {name}: {old.reasons[name]}")
        elif race_of(name) and runc == "pass":
            lines.append(f"race {name}: {race_of(name)}")
        elif outcome == "pass":
            lines.append(f"pass {name}")
        elif runc == "pass" or (outcome != "skip" and runc != "skip"):
            reason = reason_of(name)
            if runc == "pass" and reason and reason.startswith("runc's shim fails it too"):
                reason = None
            reason = reason or (old.reasons[name] if before == "fail" else None)
            if not reason:
                reason = f"runc's shim fails it too: {words[:150]}" if runc == "fail" else f"REASON? {words}"
            lines.append(f"fail {name}: {reason}")
    return "\n".join(lines) + "\n"
