"""Others' suites: containerd's client and CRI tests, and critest. README.md says how they are run."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from trees import remove_tree

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from lists import Expected, judge, read_results  # noqa: E402
from page import PAGE, page  # noqa: E402

# those of clusters are run by the tier kube
SUITES = sorted(p.stem for p in HERE.glob("*-*.txt") if not p.stem.startswith("e2e-"))
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


def expression(suite, names):
    """That selects these tests: of Go's suites with all their subtests. critest's names are here without colons."""
    if suite == "critest":
        return "|".join(re.escape(name).replace("\\ ", ":? ") for name in sorted(names))
    tests = {name.split("/")[0] for name in names}
    return f"^({'|'.join(map(re.escape, sorted(tests)))})$"


def run(suite, version, runtime, chosen=(), omitted=(), timeout=1500, where=""):
    logs = pathlib.Path(os.environ.get("REAPER_TEST_LOGS", "/var/tmp/reaper-conformance"))
    out = logs / "conformance" / f"{suite}-{version}-{runtime}{where}"
    if out.exists():
        remove_tree(out)
    out.mkdir(parents=True)
    command = [HERE / "isolated", out, "/usr/bin/python3", "-B", HERE / "suite.py", suite, version, runtime,
               "--programs", programs(version, NEEDS[suite]), "--timeout", str(timeout),
               "--binaries", os.environ.get("REAPER_BINARIES", ROOT / "build")]  # fmt: skip
    if chosen:
        command += ["--run", expression(suite, chosen)]
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
    for path in HERE.glob("*-*.txt"):
        assert Expected(*path.stem.split("-")).outcomes
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
    assert expected.doubtful({**good, "A": fails, "E": ("skip", "")}) == ["A", "E"] and not expected.doubtful(good)


ALONE = 3
# suites at once: each is in namespaces of its own and waits most of the time
AT_ONCE = 4


def whole(name, runtime):
    suite, version = name.split("-")
    if suite == "critest" and not shutil.which("critest"):
        pytest.skip("critest is not on PATH")
    return run(suite, version, runtime, omitted=Expected(suite, version).omitted())


@pytest.fixture(scope="module")
def runs(request):
    """(suite, runtime) → the future of its results, of all suites that are selected. runc's shim runs a whole suite
    only for a list that is still empty."""
    names = [item.callspec.params["name"] for item in request.session.items if item.name.startswith("test_suite[")]
    wanted = [(n, "reaper") for n in names] + [(n, "runc") for n in names if not Expected(*n.split("-")).outcomes]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {each: pool.submit(whole, *each) for each in wanted}
        pool.shutdown(cancel_futures=True)


def run_again_alone(name, expected, ours, runs):
    """What is listed as a race has to pass when nothing else runs."""
    for turn in range(ALONE):
        names = expected.races(ours)
        if not names:
            return
        concurrent.futures.wait(runs.values())
        results = run(*name.split("-"), "reaper", chosen=names, where=f"-alone{turn}")
        ours.update({each: results.get(each, ("missing", "")) for each in names})


@pytest.mark.full("the whole suite, and with runc's shim what did not pass; three minutes each, four at once")
@pytest.mark.parametrize("name", SUITES)
def test_suite(name, runs):
    expected = Expected(*name.split("-"))
    ours = runs[name, "reaper"].result()
    run_again_alone(name, expected, ours, runs)
    doubtful = expected.doubtful(ours)
    if (name, "runc") in runs:
        runcs = runs[name, "runc"].result()
    else:
        runcs = run(*name.split("-"), "runc", chosen=doubtful) if doubtful else {}
    problems = judge(expected, ours, runcs)
    assert not problems, f"{len(problems)} of {name}:\n" + "\n".join(problems)
