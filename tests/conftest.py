"""Options, sets and results of all tiers in Python; fixtures are in tests/support/reaper_fixtures.py."""

import pathlib
import re
import sys

import pytest

TESTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(TESTS / "support"))

pytest_plugins = ["reaper_fixtures"]

SETS = ["submission", "full", "soak"]


def pytest_addoption(parser):
    group = parser.getgroup("reaper")
    group.addoption("--set", default="submission", choices=SETS, help="full holds submission, soak holds full")
    group.addoption("--name-filter", default="", help="only tests whose name matches this expression")
    group.addoption("--only", help="only the tests whose names stand in this file, one a line")
    group.addoption("--again", action="store_true", help="what failed is run once more: the census bears what goes meanwhile")
    group.addoption("--list-tests", action="store_true", help="print tier, set, name and why; run nothing")
    group.addoption("--results", help="append a line per test: tier, outcome, name, reason")


def is_worker(config):
    """One of the processes among which pytest-xdist divides the tests; the one that reports is none."""
    return hasattr(config, "workerinput")


def tier_of(item):
    return pathlib.Path(item.fspath).parent.name


def name_of(item):
    return f"{pathlib.Path(item.fspath).stem.removeprefix('test_')}.{item.name.removeprefix('test_')}"


def set_of(item):
    """The nearest mark decides: (set, why). A test without one is a mistake."""
    for mark in item.iter_markers():
        if mark.name in SETS:
            if len(mark.args) != 1 or not mark.args[0]:
                raise pytest.UsageError(f"{item.nodeid}: {mark.name} needs its reason")
            return mark.name, mark.args[0]
    raise pytest.UsageError(f"{item.nodeid} is in no set: mark it submission, full or soak")


def pytest_collection_modifyitems(config, items):
    chosen = SETS[: SETS.index(config.getoption("--set")) + 1]
    wanted = re.compile(config.getoption("--name-filter"))
    only = config.getoption("--only")
    names = pathlib.Path(only).read_text().splitlines() if only else None
    keep, drop = [], []
    for item in items:
        fits = set_of(item)[0] in chosen and wanted.search(name_of(item))
        fits = fits and (names is None or name_of(item) in names)
        (keep if fits else drop).append(item)
    if config.getoption("--list-tests"):
        for item in sorted(items, key=lambda i: (tier_of(i), name_of(i))):
            if wanted.search(name_of(item)):
                print(tier_of(item), set_of(item)[0], f"{name_of(item)}: {set_of(item)[1]}")
        keep, drop = [], items
    if drop:
        config.hook.pytest_deselected(items=drop)
        items[:] = keep


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    report.reaper = (tier_of(item), name_of(item))


class Results:
    """One line per test, written when the test has wholly ended: a teardown (the census) that
    fails makes the test fail."""

    def __init__(self, path):
        self.path = path
        self.open = {}

    def pytest_runtest_logreport(self, report):
        before = self.open.get(report.nodeid, ("passed", ""))
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash else str(report.longrepr)
            before = ("failed", text.strip().split("\n")[0][:300].replace("\t", " "))
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            before = ("skipped", reason.removeprefix("Skipped: "))
        self.open[report.nodeid] = before
        if report.when == "teardown":
            outcome, reason = self.open.pop(report.nodeid)
            tier, name = report.reaper
            self.write(tier, outcome, name, reason)

    def pytest_collectreport(self, report):
        if report.failed:
            tier = pathlib.Path(report.fspath).parent.name if report.fspath else "component"
            self.write(tier, "failed", f"collection of {report.nodeid}", "")

    def write(self, *columns):
        with open(self.path, "a") as file:
            file.write("\t".join(columns) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if is_worker(config):
        # its /tmp is its own (tests/support/namespaces), and empty
        pathlib.Path(config.option.basetemp).parent.mkdir(parents=True, exist_ok=True)
    path = config.getoption("--results")
    if path and not is_worker(config):
        config.pluginmanager.register(Results(path))


@pytest.hookimpl(trylast=True, specname="pytest_configure")
def silence(config):
    if config.getoption("--list-tests"):
        # only our own lines
        config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))
