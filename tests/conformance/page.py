#!/usr/bin/python3
"""page.py: prints docs/CONFORMANCE.md, which is made of the lists in this directory. page.py --write puts it there."""

import re
import sys

from lists import HERE, Expected

PAGE = HERE.parent.parent / "docs/CONFORMANCE.md"
SUITES = {
    "client": "containerd's own client suite (`integration/client`)",
    "cri": "containerd's own CRI suite (`integration`)",
    "critest": "Kubernetes' suite for runtimes (`critest` of cri-tools)",
    "e2e": "Kubernetes' own conformance tests of sig-node and sig-storage (`e2e.test`), those that may run "
    "beside others; on a worker for each of the two shims, one after the other; its /bin/sh is busybox'",
}
BOTH = "runc's shim fails it too: "
FIGURES = re.compile(r"^# runc's shim: (\d+) passed, (\d+) failed", re.M)

HEAD = """# Conformance

Made by `tests/conformance/page.py` from the lists beside it: to change a line here, change what is tested.

Others' suites were run with Reaper and with runc's shim at the same time, on one machine, with the same containerd
and the same home-made images. What runc's shim passes has to pass with Reaper, but for what a process of the host
cannot be by its nature. A run of the lists is red when a line of them is not true any more:

<!-- run: list -->
```sh
scripts/run-integration-tests.sh --tier conformance --set full
scripts/run-integration-tests.sh --tier kube --set full --filter conformance
```

`tests/conformance/README.md` says where the suites come from and how they are run. Tests and their subtests are
counted; those that skip themselves (criu, AppArmor, SELinux, benchmarks) are not.

| suite | version | Reaper passes | runc's shim passes | Reaper fails by its nature | both fail |
| --- | --- | --- | --- | --- | --- |
"""


def versions_first(stem):
    suite, version = stem.split("-")
    return suite, [int(part) for part in version.split(".")]


def read_all():
    """(suite, version) → Expected and runc's figure, ordered."""
    for stem in sorted((p.stem for p in HERE.glob("*-*.txt")), key=versions_first):
        suite, version = stem.split("-")
        figures = FIGURES.search((HERE / f"{stem}.txt").read_text())
        yield suite, version, Expected(suite, version), figures.group(1) if figures else "not run"


def names_of(expected, wanted):
    for name, outcome in expected.outcomes.items():
        if outcome == wanted:
            yield name, expected.reasons[name]


def by_reason(lists, wanted, keep):
    """reason → suite → test without its subtests → versions."""
    found = {}
    for suite, version, expected, _ in lists:
        for name, reason in names_of(expected, wanted):
            if keep(reason):
                test = name if suite in ("critest", "e2e") else name.split("/")[0]
                tests = found.setdefault(reason.removeprefix(BOTH), {}).setdefault(suite, {})
                versions = tests.setdefault(test, [])
                if version not in versions:
                    versions.append(version)
    return found


def section(title, lists, wanted, keep=lambda reason: True):
    found = by_reason(lists, wanted, keep)
    if not found:
        return ""
    text = f"\n## {title}\n\n"
    for reason in sorted(found):
        text += f"- **{reason}**\n"
        for suite, tests in found[reason].items():
            for test in sorted(tests):
                text += f"  - {suite} {', '.join(tests[test])}: `{test}`\n"
    return text


def page():
    lists = list(read_all())
    text = HEAD
    for suite, version, expected, runc in lists:
        outcomes = list(expected.outcomes.values())
        ours = outcomes.count("pass") + outcomes.count("race")
        both = sum(1 for _, reason in names_of(expected, "fail") if reason.startswith(BOTH))
        text += f"| {suite} | {version} | {ours} | {runc} | {outcomes.count('fail') - both} | {both} |\n"
    text += "\nThe version is containerd's, and with `e2e` that of Kubernetes.\n"
    text += "\n" + "\n".join(f"`{suite}`: {what}." for suite, what in SUITES.items()) + "\n"
    text += section("What Reaper cannot pass by its nature", lists, "fail", lambda r: not r.startswith(BOTH))
    text += section("What passes when it is run alone", lists, "race")
    text += section("What has failed with runc's shim, too, at times", lists, "flaky")
    text += section("What runc's shim fails on that machine as well", lists, "fail", lambda r: r.startswith(BOTH))
    return text + section("What is not run", lists, "omit")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
    else:
        print(page(), end="")
