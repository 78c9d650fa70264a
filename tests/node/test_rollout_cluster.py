"""A fault at each call of kubectl, of which a roll-out makes about a dozen a node: kubectl fails, hangs, or meets nobody.

What is on the node does not hang on the cluster: it is before or after, and the same call goes on. Two nodes, one after the
other; the fault is at the first, so that the second is not begun.
"""

import os
import re
import shutil

import pytest

import repack
from api_server import ApiServer
from installed import package
from simulated import CONFIG, Fleet, make_node

IN_THE_CLUSTER = ["-e", "reaper_kube_context=ours", "-e", "reaper_kube_node={{ inventory_hostname }}", "-e", '{"reaper_serial": [1]}']
# one call that hangs is ten seconds; an API server that is away is asked twice
IMPATIENT = ["-e", "reaper_kube_patience=1", "-e", "reaper_kube_timeout=10"]
SAYS = {
    "refused": "refused by the test",
    "hangs": "no answer within ",
    "away": "The connection to the server ours:6443 was refused",
}


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    made = Fleet(tmp_path / "fleet", 2)
    made.api = ApiServer(tmp_path / "cluster", made.names)
    monkeypatch.setenv("PATH", f"{made.api.bin}:{os.environ['PATH']}")
    return made


def version(fleet, name):
    path = fleet.top / name / "var/lib/reaper-version"
    return path.read_text().strip() if path.exists() else None


def state(fleet, name):
    """The version that the node has, all of it, or None, and nothing is there."""
    config = (fleet.top / name / "etc/containerd/config.toml").read_text()
    has = version(fleet, name)
    assert ("reaper-v2" in config) == (has is not None) and (has or config == CONFIG), f"{name} is between"
    assert not (fleet.top / name / "run/reaper-job").exists() and not (fleet.top / name / "var/lib/reaper/packages/began").exists()
    return has


def begin(fleet, tmp_path, play):
    """The nodes as they are before the play; what they are after it."""
    if play in ("upgrade", "rollback"):
        fleet.play("install", "-e", f"reaper_package={repack.deb(tmp_path)}", *IN_THE_CLUSTER)
    if play == "uninstall":
        fleet.play("install", *IN_THE_CLUSTER)
    if play == "rollback":
        fleet.play("upgrade", *IN_THE_CLUSTER)
    shutil.copytree(fleet.top, tmp_path / "kept", symlinks=True)
    ours = package().name.split("_")[1]
    return {"install": (None, ours), "upgrade": (repack.OLDER, ours), "rollback": (ours, repack.OLDER), "uninstall": (ours, None)}[play]


def calls_of(fleet, tmp_path, play, *arguments):
    """What kubectl is called for in the play, each of them with the nodes as they were before it."""
    cluster = fleet.api.nodes()

    def reset(*fault):
        shutil.rmtree(fleet.top)
        shutil.copytree(tmp_path / "kept", fleet.top, symlinks=True)
        fleet.api.write(cluster)
        fleet.api.fault(*fault)

    reset()
    fleet.play(play, *arguments)
    calls = fleet.api.calls()
    second = next(number for number, call in enumerate(calls) if fleet.names[1] in call)
    return calls[:second], reset


@pytest.mark.full("two roll-outs for each of a dozen calls; three minutes")
@pytest.mark.parametrize("how", SAYS)
@pytest.mark.parametrize("play", ["install", "upgrade", "rollback", "uninstall"])
def test_a_call_that_fails(fleet, tmp_path, play, how):
    first, second = fleet.names
    start, end = begin(fleet, tmp_path, play)
    arguments = [*IN_THE_CLUSTER, *IMPATIENT, "-e", "reaper_drain=true", "-e", "reaper_drain_timeout=5"]
    labelled = fleet.api.ready()
    assert labelled == ([] if play == "install" else fleet.names)
    calls, reset = calls_of(fleet, tmp_path, play, *arguments)
    failed = 0
    for at, call in enumerate(calls, 1):
        if how == "hangs" and re.search("--timeout=(60|120)s", call):
            continue  # the call has time of its own, and these are minutes
        reset(at, how)
        told = fleet.play(play, *arguments, check=False)
        nodes = {node["node"]: node for node in told["report"]["nodes"]}
        print(play, how, at, call[:60], told["status"], f"{told['seconds']:.0f} s", nodes[first]["message"])
        if told["status"] == 0:
            # it was asked again, whatever the answer was; or it is the pod that has tried the node
            again = how == "refused" and call.startswith(("wait --for=condition", "replace", "get node"))
            assert again or call.startswith("delete pod") and how != "away", call
            assert [state(fleet, name) for name in fleet.names] == [end, end]
            continue
        failed += 1
        # whether the pod is gone is no failure
        verb = "get" if call.startswith("delete pod") else call.split()[0]
        assert nodes[first]["state"] in ("failed", "rolled_back") and f"kubectl {verb}: " in nodes[first]["message"], nodes[first]
        assert SAYS[how] in nodes[first]["message"]
        assert nodes[second]["state"] == "untouched" and state(fleet, second) == start
        has = state(fleet, first)
        assert has == start if play in ("install", "upgrade") else has in (start, end)
        if has == start and how != "away":
            assert fleet.api.closed() == {} and fleet.api.ready() == labelled
        elif has == start and (fleet.api.closed() or fleet.api.ready() != labelled):
            assert "in the cluster" in nodes[first]["message"], nodes[first]
        # the same call goes on, and opens what was left closed
        fleet.api.fault()
        fleet.play(play, *arguments)
        assert [state(fleet, name) for name in fleet.names] == [end, end]
        assert fleet.api.closed() == {} and fleet.api.ready() == ([] if end is None else fleet.names)
    assert failed >= len(calls) - 6 and len(calls) >= 5


@pytest.mark.full("a roll-out for each of a dozen calls; two minutes")
def test_an_answer_that_is_lost(fleet, tmp_path):
    """What was done is done again: the roll-out goes on as if nothing had been."""
    begin(fleet, tmp_path, "install")
    arguments = [*IN_THE_CLUSTER, "-e", "reaper_drain=true"]
    calls, reset = calls_of(fleet, tmp_path, "install", *arguments)
    for at, call in enumerate(calls, 1):
        reset(at, "late")
        fleet.play("install", *arguments)
        assert len(fleet.api.calls()) > len(calls), call
        assert None not in [state(fleet, name) for name in fleet.names]
        assert fleet.api.closed() == {} and fleet.api.ready() == fleet.names


@pytest.mark.submission("a cluster that does not answer must not keep a node from its way back; half a minute, no node")
@pytest.mark.parametrize(("how", "at", "verb"), [("hangs", 7, "label"), ("away", 10, "wait")], ids=["hangs", "away"])
def test_the_way_back_without_the_cluster(fleet, how, at, verb):
    """containerd serves the runtime there when it begins: the first node is before, the second was not begun."""
    first, second = fleet.names
    fleet.api.fault(at, how)
    told = fleet.play("install", *IN_THE_CLUSTER, *IMPATIENT, "-e", "reaper_drain=true", check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[first]["state"] == "rolled_back" and nodes[second]["state"] == "untouched"
    assert f"kubectl {verb}: {SAYS[how]}" in nodes[first]["message"], nodes[first]
    assert [state(fleet, name) for name in fleet.names] == [None, None]
    assert fleet.api.closed() == ({} if how == "hangs" else {first: "install-reaper"})
    assert ("in the cluster it may still be closed or labelled" in nodes[first]["message"]) == (how == "away")


@pytest.mark.full("plays on nodes that are directories; half a minute")
def test_manifests_that_are_not_taken(fleet):
    """One node of the batch applies them for all, and goes back; the others of it are finished, as ever."""
    first, second = fleet.names
    fleet.api.fault("apply -k", "refused")
    arguments = [*IN_THE_CLUSTER[:-1], '{"reaper_serial": [2]}', "-e", "reaper_manifests=production"]
    told = fleet.play("install", *arguments, check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[first]["state"] == "rolled_back" and nodes[second]["state"] == "ok"
    assert "kubectl apply: " in nodes[first]["message"] and SAYS["refused"] in nodes[first]["message"]
    assert state(fleet, first) is None and state(fleet, second) and fleet.api.ready() == [second]
    fleet.api.fault()
    fleet.play("install", *arguments)
    assert [call.split()[:2] for call in fleet.api.calls()].count(["apply", "-k"]) == 1
    assert state(fleet, first) and fleet.api.ready() == fleet.names


@pytest.fixture
def by_a_node(fleet):
    """A host of the inventory whose kubectl is asked: its directory, and what a play needs for it."""
    top = fleet.top / "plane"
    make_node(top)
    (top / "bin/kubectl").write_text(f'#!/bin/sh\nexec {fleet.api.bin}/kubectl --context ours "$@"\n')
    (top / "bin/kubectl").chmod(0o755)
    with fleet.inventory.open("a") as file:
        file.write(f"[others]\nplane ansible_host={top} ansible_connection=tree ansible_user=root ansible_become=false\n")
    return top, ["-e", "reaper_kube_host=plane", *IN_THE_CLUSTER[2:]]


@pytest.mark.full("plays on nodes that are directories; half a minute")
def test_kubectl_of_a_control_plane(fleet, by_a_node, monkeypatch):
    """And none on this machine; one that cannot be reached is no node that fails, and keeps none from its way back."""
    top, arguments = by_a_node
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])
    first, second = fleet.names
    (top / "fault").write_text("9 lost")
    told = fleet.play("install", *arguments, *IMPATIENT, "-e", "reaper_drain=true", check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[first]["state"] == "rolled_back" and nodes[second]["state"] == "untouched"
    assert "kubectl replace: plane cannot be reached: the connection is lost" in nodes[first]["message"]
    assert [state(fleet, name) for name in fleet.names] == [None, None]
    for name in ("fault", "calls"):
        (top / name).unlink()
    # one that hangs there, too
    fleet.api.fault("get runtimeclass", "hangs")
    told = fleet.play("install", *arguments, *IMPATIENT, "-e", "reaper_drain=true", check=False)
    assert f"kubectl get: {SAYS['hangs']}" in told["report"]["nodes"][0]["message"]
    assert [state(fleet, name) for name in fleet.names] == [None, None] and fleet.api.closed() == {}
    fleet.api.fault()
    fleet.play("install", *arguments, "-e", "reaper_drain=true")
    assert None not in [state(fleet, name) for name in fleet.names]
    assert fleet.api.ready() == fleet.names and fleet.api.closed() == {}
