"""A roll-out into which something breaks: every node is before it or after it, and the same call goes on."""

import os
import random
import re
import subprocess

import pytest

import repack
from fleet import Gate, assert_after, assert_before, assert_whole, files, is_installed, power_cut, roll
from installed import CONFIG, package
from machine import SOURCE, run

pytestmark = pytest.mark.full("several nodes, and each of them several times; a minute or more")


def error_of(result):
    """The last line, which names the node and the reason."""
    assert result.returncode != 0
    last = result.stderr.splitlines()[-1]
    assert last.startswith("install-reaper: error: "), result.stderr[-2000:]
    return last


@pytest.mark.parametrize("what", ["package", "configuration"])
def test_a_full_disk_on_the_third_of_five(stock, tmp_path, what):
    nodes = [stock("bookworm") for _ in range(5)]
    before = [files(node, "/etc") for node in nodes]
    full = nodes[2]
    if what == "package":
        # where the package has more than a page
        place = "/usr/share/doc/reaper"
        full.run("mkdir", place)
        full.run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place)
    else:
        place = "/etc/containerd"
        text = full.path(CONFIG).read_bytes()
        full.run("mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "tmpfs", place)
        full.path(CONFIG).write_bytes(text)
        full.run("chmod", "0644", CONFIG)
        full.run("sh", "-c", "dd if=/dev/zero of=/etc/containerd/full bs=4096 2>/dev/null; true")
        before[2] = files(full, "/etc")
    arguments = ["--package", package(), "--serial", "1"]
    result, report = roll(nodes[0].cluster, tmp_path, *arguments, check=False)
    last = error_of(result)
    assert full.name in last and "No space left on device" in last, last
    for node in nodes[:2]:
        assert_after(node)
    for node, etc in list(zip(nodes, before))[2:]:
        assert_before(node, etc)
    assert [report[node.name]["state"] for node in nodes] == ["ok", "ok", "rolled_back", "untouched", "untouched"]

    full.run("umount", place)
    before[2] = files(full, "/etc")
    roll(nodes[0].cluster, tmp_path, "--package", package())
    for node in nodes:
        assert_after(node)
    roll(nodes[0].cluster, tmp_path, "--uninstall")
    full.run("rmdir", "/usr/share/doc/reaper", check=False)
    for node, etc in zip(nodes, before):
        assert_before(node, etc)


def test_a_package_of_another_architecture(stock, tmp_path):
    nodes = [stock("trixie"), stock("bookworm")]
    before = [files(node, "/etc") for node in nodes]

    def foreign(tree):
        control = tree / "DEBIAN/control"
        control.write_text(re.sub("^Architecture: .*", "Architecture: arm64", control.read_text(), flags=re.MULTILINE))

    deb = repack.deb(tmp_path, "9.9", foreign)
    result, report = roll(nodes[0].cluster, tmp_path, "--package", deb, check=False)
    assert f"{nodes[0].name}: {deb} is for arm64, and this node is amd64" in error_of(result)
    for node, etc in zip(nodes, before):
        assert_before(node, etc)
    assert report[nodes[1].name]["state"] == "untouched"


def test_a_node_that_goes_down_between_write_and_restart(stock, tmp_path):
    nodes = [stock("trixie"), stock("bookworm"), stock("trixie")]
    before = [files(node, "/etc") for node in nodes]
    down = nodes[1]
    gate = Gate(down)
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", down.cluster, "--report", tmp_path, "--package", package(), "--serial", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", stdin=subprocess.DEVNULL) as running:
        gate.wait()
        power_cut(down)
        _, said = running.communicate(timeout=300)
    assert running.returncode != 0
    assert down.name in said.splitlines()[-1], said
    assert_after(nodes[0])
    assert_whole(down)
    assert_before(nodes[2], before[2])
    roll(down.cluster, tmp_path, "--package", package())
    for node in nodes:
        assert_after(node)
    roll(down.cluster, tmp_path, "--uninstall")
    for node, etc in zip(nodes, before):
        assert_before(node, etc)


def killed(at, after, cluster, report, *arguments):
    """The call, whose control machine dies at a task."""
    environment = {**os.environ, "ANSIBLE_CALLBACK_PLUGINS": str(SOURCE / "tests/support/callbacks"),
                   "REAPER_TEST_KILL_AT": str(at), "REAPER_TEST_KILL_AFTER": str(after)}  # fmt: skip
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", cluster, "--report", report, *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          start_new_session=True, cwd="/", env=environment) as running:  # fmt: skip
        running.wait(timeout=900)
    return running.returncode


@pytest.mark.parametrize("seed", range(4))
def test_the_control_machine_dies_at_any_task(stock, tmp_path, seed):
    rng = random.Random(seed)
    nodes = [stock("bookworm"), stock("trixie")]
    before = [files(node, "/etc") for node in nodes]
    older = repack.deb(tmp_path)
    # the last number: so many tasks two nodes have at least (kill_at.py counts them); one beyond the end kills nothing
    ways = [
        (["--package", older], repack.OLDER, 44),
        (["--package", package(), "--upgrade"], None, 50),
        (["--rollback"], repack.OLDER, 32),
        (["--uninstall"], "", 30),
    ]
    for arguments, version, tasks in ways:
        how = rng.choice([["--parallel", "2"], ["--serial", "1"]])
        at, after = rng.randint(1, tasks), rng.choice([0, rng.uniform(0, 3)])
        status = killed(at, after, nodes[0].cluster, tmp_path, *arguments, *how)
        print(arguments, at, after, status)
        assert status != 0 or after > 0, "the control machine did not die"
        for node in nodes:
            assert_whole(node)
        roll(nodes[0].cluster, tmp_path, *arguments)
        for node, etc in zip(nodes, before):
            if version == "":
                assert_before(node, etc)
                continue
            assert_after(node)
            has = node.run("dpkg-query", "-W", "-f", "${Version}", "reaper").stdout
            assert (has == repack.OLDER) == (version == repack.OLDER), has


def test_a_run_that_goes_on_for_a_dead_one_knows_the_way_back(stock, tmp_path):
    """The package is on the node already, and only the run that died has put it there."""
    node = stock("bookworm")
    etc = files(node, "/etc")
    assert killed("reaper_containerd", 0, node.cluster, tmp_path, "--package", package()) != 0
    assert_whole(node)
    assert is_installed(node)
    assert node.path("/var/lib/reaper/packages/began").read_text() == "none\n"
    config = node.path(CONFIG)
    config.write_text(config.read_text() + "[unfinished\n")
    result, report = roll(node.cluster, tmp_path, "--package", package(), check=False)
    assert CONFIG in error_of(result)
    assert report[node.name]["state"] == "rolled_back" and report[node.name]["before"] is None
    config.write_text(config.read_text().removesuffix("[unfinished\n"))
    assert_before(node, etc)
