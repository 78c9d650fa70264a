"""Others' suites: containerd's client and CRI tests, and critest. README.md says how they are run."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from lists import Expected, judge, read_results  # noqa: E402
from page import PAGE, page  # noqa: E402

SUITES = sorted(p.stem for p in HERE.glob("*-*.txt"))
NEEDS = {"client": ["client.test"], "cri": ["cri.test"], "critest": []}

# of the client's suite: a task's life, its streams, execs, ends, and a daemon that is restarted
CHOSEN = """TestContainerStart TestContainerOutput TestContainerExec TestContainerWait TestContainerPids
TestContainerCloseIO TestContainerKill TestDeleteRunningContainer TestContainerNoBinaryExists
TestContainerExecNoBinaryExists TestTaskForceDelete TestContainerAttach TestShimSockLength""".split()


# the machine's own: Debian bookworm's
PACKAGED = "1.6"


def programs(version, suites):
    """They were built in the background; then this only asks where they are."""
    if version == PACKAGED:
        found = subprocess.run(["containerd", "--version"], capture_output=True, text=True).stdout
        if f" {PACKAGED}." not in found:
            pytest.skip(f"containerd {PACKAGED} is not the machine's own")
        return os.path.dirname(shutil.which("containerd"))
    result = subprocess.run([ROOT / "ci/containerd/build.sh", version, *suites], capture_output=True, text=True)
    assert result.returncode == 0, f"containerd {version} could not be built: {result.stderr.strip().splitlines()[-1]}"
    return result.stdout.strip()


def run(suite, version, runtime, chosen=(), omitted=(), timeout=1500, where=""):
    logs = pathlib.Path(os.environ.get("REAPER_TEST_LOGS", "/var/tmp/reaper-conformance"))
    out = logs / "conformance" / f"{suite}-{version}-{runtime}{where}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [HERE / "isolated", out, "/usr/bin/python3", "-B", HERE / "suite.py", suite, version, runtime,
               "--programs", programs(version, NEEDS[suite]), "--timeout", str(timeout),
               "--binaries", os.environ.get("REAPER_BINARIES", ROOT / "build")]  # fmt: skip
    if chosen:
        # a critest has a path of headings before it, a Go test its subtests behind it
        names = "|".join(re.escape(name if suite == "critest" else name.split("/")[0]) for name in chosen)
        command += ["--run", names if suite == "critest" else f"^({names})$"]
    if omitted:
        command += ["--skip", f"^({'|'.join(map(re.escape, omitted))})$"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (out / "results.tsv").exists(), f"{suite} {version} {runtime}: no results: {result.stdout}{result.stderr}"
    print(result.stdout)
    return read_results(out / "results.tsv")


@pytest.mark.submission("a dozen tests of containerd's own client suite on the newest release; seconds")
def test_chosen_client_tests():
    expected = Expected("client", "2.4")
    assert all(expected.outcomes[name] == "pass" for name in CHOSEN)
    ours = run("client", "2.4", "reaper", chosen=CHOSEN, timeout=300)
    wrong = {name: ours.get(name, ("missing", "")) for name in CHOSEN if ours.get(name, ("", ""))[0] != "pass"}
    assert not wrong, wrong


@pytest.mark.submission("a list with a line that nobody can read would let everything pass; milliseconds")
def test_lists_can_be_read():
    assert {"client-2.4", "cri-2.4"} <= set(SUITES)
    for each in SUITES:
        assert Expected(*each.split("-")).outcomes
    for bad in ("pass", "fail TestX", "fail TestX:", "flaky TestX: seen", "maybe TestX", "pass A\npass A"):
        with pytest.raises(ValueError):
            Expected("any", "0", bad)


@pytest.mark.submission("a page that says something else than the lists is worse than none; milliseconds")
def test_page_is_current():
    assert PAGE.read_text() == page(), "run tests/conformance/page.py --write"


@pytest.mark.submission("the judgement itself: what must make a run fail does; milliseconds")
def test_judgement():
    expected = Expected("any", "0", "pass A\nfail B: no\nflaky C: seen with runc: x\nomit D: never ends\nrace R: y")
    passes, fails = ("pass", ""), ("fail", "why")
    good = {"A": passes, "B": fails, "C": fails, "R": passes}
    runc = {"A": passes, "B": passes, "C": passes, "R": passes}
    assert judge(expected, good, runc) == []
    assert len(judge(expected, {**good, "A": fails}, runc)) == 1, "a listed pass fails"
    assert len(judge(expected, {**good, "B": passes}, runc)) == 1, "a listed fail passes"
    assert len(judge(expected, {**good, "R": fails}, runc)) == 1, "a race fails alone, too"
    assert expected.races({**good, "R": fails}) == ["R"] and not expected.races(good)
    assert len(judge(expected, {"B": fails, "R": passes}, runc)) == 1, "a listed pass has no result"
    assert len(judge(expected, {**good, "E": fails}, {**runc, "E": passes})) == 1, "not listed, runc passes it"
    assert len(judge(expected, {**good, "E": passes}, runc)) == 1, "not listed, passes"
    assert judge(expected, {**good, "A": fails}, {**runc, "A": fails}) == [], "runc fails it on this machine"


ALONE = 3


def run_again_alone(suite, version, expected, ours):
    """What is listed as a race has to pass when nothing else runs."""
    for turn in range(ALONE):
        names = expected.races(ours)
        if not names:
            return
        results = run(suite, version, "reaper", chosen=names, where=f"-alone{turn}")
        ours.update({name: results.get(name, ("missing", "")) for name in names})


@pytest.mark.full("the whole suite, ours and runc's shim at the same time; two to five minutes each")
@pytest.mark.parametrize("name", SUITES)
def test_suite(name):
    suite, version = name.split("-")
    if suite == "critest" and not shutil.which("critest"):
        pytest.skip("critest is not on PATH")
    expected = Expected(suite, version)
    programs(version, NEEDS[suite])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # each in namespaces of its own; both wait most of the time
        both = [pool.submit(run, suite, version, r, omitted=expected.omitted()) for r in ("reaper", "runc")]
        ours, runcs = (each.result() for each in both)
    run_again_alone(suite, version, expected, ours)
    problems = judge(expected, ours, runcs)
    assert not problems, f"{len(problems)} of {name}:\n" + "\n".join(problems)
