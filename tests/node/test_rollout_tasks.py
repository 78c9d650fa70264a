"""A fault at each command of a roll-out, on the fourth of eleven nodes: in a batch of five, with five batches behind it."""

import itertools
import shutil

import pytest

import repack
from installed import package
from simulated import CONFIG, Fleet, make_node

HOWS = {
    "refused": "the command fails there",
    "lost": "the connection ends before it",
    "late": "the connection ends behind it, and nobody hears what became of it",
}


def state_of(fleet, name):
    """before, after, or what is between: a package that containerd knows nothing of."""
    tree = fleet.top / name
    configured = "reaper-v2" in (tree / "etc/containerd/config.toml").read_text()
    installed = (tree / "var/lib/reaper-version").exists()
    assert installed or not configured, f"{name}: containerd's configuration names a runtime that is not there"
    assert configured or (tree / "etc/containerd/config.toml").read_text() == CONFIG
    assert (tree / "bin/reaperctl").exists() == installed
    return "after" if configured else "installed" if installed else "before"


def version_of(fleet, name):
    version = fleet.top / name / "var/lib/reaper-version"
    return version.read_text().strip() if version.exists() else None


def nothing_left(fleet, name, how="refused"):
    """But for the one directory in memory of a transfer that lost its connection: an hour later the next transfer takes it."""
    tree = fleet.top / name
    assert not (tree / "run/reaper-job").exists() and not (tree / "var/lib/reaper/packages/began").exists()
    left = list((tree / "run").glob("reaper-put-*"))
    assert len(left) <= (how != "refused") and all(each.stat().st_mode & 0o7777 == 0o700 for each in left)


def faults(fleet, bad, play, how, reset, *arguments):
    """Each run with its fault, at the first command of the bad node and so on, until there is no such command."""
    for at in itertools.count(1):
        reset()
        (fleet.top / bad / "fault").write_text(f"{at} {how}")
        told = fleet.play(play, *arguments, check=False)
        count = len((fleet.top / bad / "calls").read_text())
        for name in ("fault", "calls"):
            (fleet.top / bad / name).unlink()
        print(play, how, at, told["status"], f"{told['seconds']:.0f} s")
        if count < at:
            assert told["status"] == 0 and at > 5
            return
        # whether a file in memory is removed is none of the play's cares
        if told["status"] != 0:
            yield at, {node["node"]: node for node in told["report"]["nodes"]}


def ends_at_the_bad_one(nodes, how, bad, later):
    """It says why, and no batch behind it is begun."""
    bad = nodes[bad]
    assert bad["state"] in (("unreachable",) if how != "refused" else ("failed", "rolled_back")), bad
    assert ("the connection is lost" if how != "refused" else "refused by the test") in bad["message"], bad
    assert {nodes[name]["state"] for name in later} == {"untouched"}


@pytest.mark.submission("one node that does not answer, and the fleet goes down node by node; ten seconds")
def test_a_node_that_does_not_answer_ends_it(tmp_path):
    """Workers and a control plane: neither the next batch is begun nor the last play."""
    fleet = Fleet(tmp_path, 5)
    with fleet.inventory.open("a") as file:
        file.write("[k8s_control_plane]\nnode0005\n")
    (fleet.top / "node0003/fault").write_text("7 lost")
    serial = ["-e", '{"reaper_serial": [3, 1]}']
    told = fleet.play("install", *serial, check=False)
    states = [node["state"] for node in told["report"]["nodes"]]
    assert told["status"] != 0 and states == ["ok", "ok", "unreachable", "untouched", "untouched"]
    assert [state_of(fleet, name) for name in fleet.names] == ["after", "after", "installed", "before", "before"]
    (fleet.top / "node0003/fault").unlink()
    # in the last batch of the workers
    (fleet.top / "node0004/fault").write_text("1 lost")
    told = fleet.play("install", "-e", '{"reaper_serial": [1, 3]}', check=False)
    states = [node["state"] for node in told["report"]["nodes"]]
    assert told["status"] != 0 and states == ["unchanged", "unchanged", "ok", "unreachable", "untouched"]


NOTED = """#!/bin/sh
case @REAL@:$1 in */reaperctl.real.noted:doctor | */apt-get.noted:*) ;; *) exec @REAL@ "$@" ;; esac
echo "begin ${REAPER_TREE##*/}" >>"$REAPER_TREE/../order"
@REAL@ "$@"
status=$?
echo "end ${REAPER_TREE##*/}" >>"$REAPER_TREE/../order"
exit "$status"
"""


def note_the_order(fleet):
    """Of what changes a node and what looks whether it is well, all in one file; and who was asked anything."""
    for name in fleet.names:
        for program in ("apt-get", "reaperctl.real"):
            path = fleet.top / name / "bin" / program
            path.rename(f"{path}.noted")
            path.write_text(NOTED.replace("@REAL@", f"{path}.noted"))
            path.chmod(0o755)
        (fleet.top / name / "fault").write_text("999 refused")


@pytest.mark.submission("without a canary a bad version is on five nodes at once; twenty seconds")
def test_the_canary_is_first_and_alone(tmp_path):
    """With the defaults: one worker, whatever the inventory begins with, from its first command to its last check."""
    fleet = Fleet(tmp_path, 9)
    with fleet.inventory.open("a") as file:
        file.write("[k8s_control_plane]\nnode0001\n")
    note_the_order(fleet)
    canary, others = "node0002", [name for name in fleet.names if name != "node0002"]
    (fleet.top / canary / "fault").write_text("7 refused")
    told = fleet.play("install", check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[canary]["state"] == "rolled_back", nodes[canary]
    assert "refused by the test" in nodes[canary]["message"], nodes[canary]
    assert "the batches after this one were not touched" in told["said"]
    assert {nodes[name]["state"] for name in others} == {"untouched"}
    assert [name for name in others if (fleet.top / name / "calls").exists()] == [], "nobody has even looked at them"
    assert {state_of(fleet, name) for name in fleet.names} == {"before"}

    (fleet.top / canary / "fault").unlink()
    (fleet.top / "order").unlink(missing_ok=True)
    told = fleet.play("install")
    assert [node["node"] for node in told["report"]["nodes"] if node["batch"] == 0] == [canary]
    order = [line.split() for line in (fleet.top / "order").read_text().splitlines()]
    its = [at for at, (_, name) in enumerate(order) if name == canary]
    # the package and the check at least, each begun and ended, and then the others; the control plane behind all workers
    assert len(its) >= 4 and its == list(range(len(its))) and order[its[-1]] == ["end", canary]
    plane = [at for at, (_, name) in enumerate(order) if name == "node0001"]
    assert plane == list(range(len(order) - len(plane), len(order)))
    assert {state_of(fleet, name) for name in fleet.names} == {"after"}


@pytest.mark.full("two roll-outs for each of a dozen commands; five minutes")
@pytest.mark.parametrize("how", HOWS)
def test_an_installation(tmp_path, how):
    fleet = Fleet(tmp_path, 11)
    bad, mates, later = "node0004", ["node0002", "node0003", "node0005", "node0006"], fleet.names[6:]

    def reset():
        for name in fleet.names:
            shutil.rmtree(fleet.top / name)
            make_node(fleet.top / name)

    for at, nodes in faults(fleet, bad, "install", how, reset):
        ends_at_the_bad_one(nodes, how, bad, later)
        # at its first command nobody has done more than look
        assert {state_of(fleet, name) for name in mates} == {"before" if at == 1 and how == "refused" else "after"}
        assert {state_of(fleet, name) for name in later} == {"before"}
        state = state_of(fleet, bad)
        if how == "refused":
            assert state == "before"
            nothing_left(fleet, bad)
        assert state != "installed" or (fleet.top / bad / "var/lib/reaper/packages/began").read_text() == "none\n"
        # the same call goes on, and undoes nothing of what is done
        again = {node["node"]: node for node in fleet.play("install")["report"]["nodes"]}
        assert again[bad]["before"] is None or state == "after"
        for name in fleet.names:
            assert state_of(fleet, name) == "after"
            nothing_left(fleet, name, how if name == bad else "refused")
        if at % 4 == 0:
            fleet.play("uninstall")
            assert {state_of(fleet, name) for name in fleet.names} == {"before"}
            for name in fleet.names:
                nothing_left(fleet, name, how if name == bad else "refused")


@pytest.mark.full("two runs for each of a dozen commands, on three nodes; two minutes")
@pytest.mark.parametrize("how", ["refused", "late"])
@pytest.mark.parametrize("play", ["upgrade", "rollback", "uninstall"])
def test_the_other_ways(tmp_path, play, how):
    """Two nodes at a time, of which one has the fault, and one behind them."""
    serial = ["-e", '{"reaper_serial": [2, 1]}']
    fleet = Fleet(tmp_path / "fleet", 3)
    _, bad, later = fleet.names
    fleet.play("install", "-e", f"reaper_package={repack.deb(tmp_path)}")
    if play == "rollback":
        fleet.play("upgrade")
    start = version_of(fleet, bad)
    shutil.copytree(fleet.top, tmp_path / "kept", symlinks=True)
    end = package().name.split("_")[1] if play == "upgrade" else repack.OLDER if play == "rollback" else None

    def reset():
        shutil.rmtree(fleet.top)
        shutil.copytree(tmp_path / "kept", fleet.top, symlinks=True)

    for _, nodes in faults(fleet, bad, play, how, reset, *serial):
        ends_at_the_bad_one(nodes, how, bad, [later])
        assert version_of(fleet, later) == start and state_of(fleet, later) == "after"
        assert version_of(fleet, bad) in (start, end)
        if play != "uninstall":
            assert state_of(fleet, bad) == "after"
        if play == "upgrade" and how == "refused":
            assert version_of(fleet, bad) == start
        fleet.play(play, *serial)
        for name in fleet.names:
            assert version_of(fleet, name) == end and state_of(fleet, name) == ("before" if end is None else "after")
            nothing_left(fleet, name, how if name == bad else "refused")
