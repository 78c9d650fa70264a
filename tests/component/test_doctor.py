"""`reaperctl doctor`: each fault of a node has an id of its own, and the table is the documented one."""

import errno
import json
import os
import re
import sys

import pytest

from machine import BINARIES, SOURCE, run

REAPERCTL = BINARIES / "reaperctl"
CONTAINERD = SOURCE / "tests/support/fake-containerd"
CLASSES = {"node": 11, "install": 12, "config": 13, "daemon": 14, "task": 15, "left": 16}

pytestmark = pytest.mark.submission("a fault that is called by another's name is looked for in the wrong place")


def doctor(*options, prefix=(), path=None):
    """(exit status, {id: check})."""
    environment = {**os.environ, "PATH": f"{path or BINARIES}:{os.environ['PATH']}"}
    result = run([*prefix, REAPERCTL, "doctor", "--json", *options], check=False, env=environment)
    assert not result.stderr, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["result"] == "failed") == (result.returncode != 0)
    return result.returncode, answer["checks"]


def assert_fails(found, name):
    status, checks = found
    check = checks[name]
    assert check["result"] == "failed", checks
    assert check["why"] and check["next"]
    # the exit status is that of the first class in which something failed
    first = next(c for c in checks.values() if c["result"] == "failed")
    assert status == CLASSES[first["class"]]
    return check["why"]


@pytest.fixture
def root(tmp_path):
    """A tree that is configured."""
    (tmp_path / "etc/containerd").mkdir(parents=True)
    (tmp_path / "etc/reaper").mkdir()
    config = tmp_path / "etc/containerd/config.toml"
    config.write_text(run([CONTAINERD, "config", "default"]).stdout)
    run([REAPERCTL, "containerd", "apply", "--root", tmp_path, "--containerd", CONTAINERD])
    return tmp_path


def in_root(root):
    return doctor("--root", root, "--containerd", CONTAINERD)


def test_a_configured_tree_passes(root):
    status, checks = in_root(root)
    assert status == 0
    assert {c["result"] for c in checks.values()} == {"passed", "skipped"}
    assert checks["runtime-configured"]["result"] == "passed"


def test_no_containerd(tmp_path):
    assert_fails(doctor("--root", tmp_path), "containerd-found")


@pytest.mark.parametrize(
    "name, change",
    [
        ("config-readable", lambda text: text + "[broken\n"),
        ("config-readable", lambda text: text.split("#<<")[0]),
        ("runtime-configured", lambda text: text.split("#>>")[0]),
        ("runtime-configured", lambda text: text.replace("io.containerd.reaper.v2", "io.containerd.other.v2")),
        ("config-usable", lambda text: 'disabled_plugins = ["io.containerd.cri.v1.runtime"]\n' + text.split("#>>")[0]),
    ],
)
def test_containerds_configuration(root, name, change):
    config = root / "etc/containerd/config.toml"
    config.write_text(change(config.read_text()))
    found = in_root(root)
    assert re.match("E_[A-Z_]+: ", assert_fails(found, name))
    assert [i for i, c in found[1].items() if c["result"] == "failed"] == [name]
    # verify is the same rows
    verified = run([REAPERCTL, "containerd", "verify", "--json", "--root", root, "--containerd", CONTAINERD], check=False)
    assert json.loads(verified.stdout)["check"] == name and verified.returncode != 0


@pytest.mark.parametrize("value", ["shared", "separate"])
def test_whom_containers_with_more_rights_trust_is_told(root, value):
    (root / "etc/reaper/reaper.conf").write_text(f"REAPER_OVERLAY_TRUST={value}\n")
    status, checks = in_root(root)
    assert (status, checks["trust"]["result"]) == (0, "passed")
    assert checks["trust"]["why"].startswith(f"REAPER_OVERLAY_TRUST={value}: ")


@pytest.mark.parametrize(
    "text, row, why",
    [
        ("", "filter", "the built-in list is hidden"),
        ("REAPER_FILTER_ENABLED=false\n", "filter", "REAPER_FILTER_ENABLED=false: "),
        ("REAPER_FILTER_MODE=replace\nREAPER_FILTER_PATHS=/srv\n", "filter", "REAPER_FILTER_MODE=replace: "),
        ("REAPER_NO_SUCH_KEY=1\n", "settings", r".*reaper\.conf:1: REAPER_NO_SUCH_KEY: unknown key"),
    ],
)
def test_what_the_settings_leave_open_is_told(root, text, row, why):
    (root / "etc/reaper/reaper.conf").write_text(text)
    status, checks = in_root(root)
    assert (status, checks[row]["result"]) == (0, "passed")
    assert re.match(why, checks[row]["why"])


@pytest.mark.parametrize(
    "text, result, why",
    [
        (None, "passed", "open: no rule denies anything"),
        ("[allow]\nnamespace=ops\n[force]\nmounts=private\n", "passed", "open: no rule denies anything"),
        ("[allow]\nnamespace=ops\n[deny]\n", "passed", None),
        ("[deny]\nnamspace=ops\n", "failed", r".*/etc/reaper/policy\.d/10-site\.conf:2: "),
    ],
)
def test_whether_the_node_has_a_door_of_its_own_is_told(root, text, result, why):
    if text:
        (root / "etc/reaper/policy.d").mkdir()
        (root / "etc/reaper/policy.d/10-site.conf").write_text(text)
    status, checks = in_root(root)
    assert (status, checks["policy"]["result"]) == (CLASSES["install"] if result == "failed" else 0, result)
    assert re.match(why, checks["policy"]["why"]) if why else "why" not in checks["policy"]


def test_an_old_kernels_landlock_is_told():
    def why(*prefix):
        check = doctor(prefix=prefix)[1]["landlock"]
        assert check["result"] == "passed"
        return check["why"]

    # landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), as where it is switched off
    deny = [sys.executable, SOURCE / "tests/support/deny.py", "444", "2", "1", str(errno.EOPNOTSUPP), "--"]
    assert why(*deny).startswith("neither is held")


def test_a_wrong_setting(root):
    (root / "etc/reaper/reaper.conf").write_text("REAPER_OVERLAY_ISOLATION=planet\n")
    assert "REAPER_OVERLAY_ISOLATION" in assert_fails(in_root(root), "settings")


@pytest.mark.parametrize(
    "program, name", [("containerd-shim-reaper-v2", "shim-version"), ("reaper-runtime", "runtime-version")]
)
def test_a_program_of_another_version(tmp_path, program, name):
    other = tmp_path / program
    other.write_text("#!/bin/sh\necho other 0.0.9\n")
    other.chmod(0o755)
    assert "other 0.0.9" in assert_fails(doctor(path=tmp_path), name)
    other.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    assert "it is broken" in assert_fails(doctor(path=tmp_path), name)


def test_another_shim_before_the_packages(root):
    for directory in ("usr/bin", "usr/local/bin"):
        shim = root / directory / "containerd-shim-reaper-v2"
        shim.parent.mkdir(parents=True, exist_ok=True)
        shim.write_text("#!/bin/sh\n")
        shim.chmod(0o755)
    assert "usr/local/bin/containerd-shim-reaper-v2" in assert_fails(in_root(root), "shim-shadowed")


def test_an_old_kernel():
    assert "2.6." in assert_fails(doctor(prefix=["setarch", os.uname().machine, "--uname-2.6"]), "kernel-version")


def test_no_overlayfs(tmp_path):
    text = open("/proc/filesystems").read()
    (tmp_path / "filesystems").write_text(text.replace("\toverlay\n", "\toverloy\n"))
    script = (f"mount --bind {tmp_path}/filesystems /proc/filesystems && "
              'if [ -d /lib/modules ]; then mount -t tmpfs none /lib/modules; fi && exec "$@"')  # fmt: skip
    assert_fails(doctor(prefix=["unshare", "--mount", "sh", "-c", script, "sh"]), "overlayfs")


def test_no_cgroups():
    script = 'umount --recursive --lazy /sys/fs/cgroup && exec "$@"'
    assert_fails(doctor(prefix=["unshare", "--mount", "sh", "-c", script, "sh"]), "cgroups")


def test_people_read_what_is_wrong_and_what_to_do(root):
    result = run([REAPERCTL, "doctor", "--root", root, "--containerd", "/nonexistent"], check=False)
    assert re.search(r"^FAILED +\S+ ", result.stdout, re.MULTILINE)
    assert re.search(r"^ +next: \S", result.stdout, re.MULTILINE)


def test_the_page_has_the_table():
    _, checks = doctor()
    page = (SOURCE / "docs/CHECKS.md").read_text()
    known = json.loads(run([REAPERCTL, "errors", "--json"]).stdout)
    rows = [line for line in page.splitlines() if re.match(r"\| `[a-z0-9-]+` \|", line)]
    expected = [f"| `{name}` | {check['class']} | {check['text']} | {known[name]['next']} |" for name, check in checks.items()]
    # a bar of a pipeline is no border of the table
    assert [row.replace("\\|", "\0").count("|") for row in rows] == [5] * len(expected)
    assert [row.replace("\\|", "|") for row in rows] == expected
