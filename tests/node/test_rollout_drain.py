"""Cordon and drain: within the budgets of the pods, opened again by who has closed it, and a refusal that names its pod."""

import os

import pytest

import repack
from api_server import ApiServer
from simulated import CONFIG, Fleet



@pytest.fixture
def fleet(tmp_path, monkeypatch):
    made = Fleet(tmp_path / "fleet", 2)
    made.api = ApiServer(tmp_path / "cluster", made.names)
    monkeypatch.setenv("PATH", f"{made.api.bin}:{os.environ['PATH']}")
    return made


IN_THE_CLUSTER = ["-e", "reaper_kube_context=ours", "-e", "reaper_kube_node={{ inventory_hostname }}", "-e", "reaper_drain=true"]


def configuration(fleet, name):
    return (fleet.top / name / "etc/containerd/config.toml").read_text()


@pytest.mark.submission("a node that stays closed, or a budget that is passed over; half a minute, no node")
def test_a_budget_that_keeps_its_pod_ends_the_roll_out(fleet):
    first, second = fleet.names
    fleet.api.change(second, budget="web-0")
    told = fleet.play("install", *IN_THE_CLUSTER, check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0
    assert nodes[first]["state"] == "ok" and nodes[second]["state"] == "rolled_back", nodes
    for word in ('pods/"web-0"', "disruption budget"):
        assert word in nodes[second]["message"]
    # before the roll-out, also in the cluster: it takes pods again
    assert configuration(fleet, second) == CONFIG and not (fleet.top / second / "var/lib/reaper-version").exists()
    assert fleet.api.closed() == {} and fleet.api.ready() == [first]

    fleet.api.change(second)
    fleet.play("install", *IN_THE_CLUSTER)
    assert "reaper-v2" in configuration(fleet, second)
    assert fleet.api.closed() == {} and fleet.api.ready() == [first, second]

    # on the way back the same: it keeps what it has, and takes pods of the runtime
    fleet.api.change(first, budget="db-0")
    told = fleet.play("rollback", *IN_THE_CLUSTER, check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[first]["state"] == "failed" and 'pods/"db-0"' in nodes[first]["message"]
    assert "reaper-v2" in configuration(fleet, first)
    assert fleet.api.closed() == {} and fleet.api.ready() == [first, second]


@pytest.mark.full("plays on nodes that are directories; half a minute")
def test_what_somebody_else_has_closed_stays_closed(fleet):
    first, second = fleet.names
    fleet.api.change(first, closed=True)
    for play in ("install", "rollback"):
        fleet.play(play, *IN_THE_CLUSTER)
        assert fleet.api.closed() == {first: "somebody"}
        assert fleet.api.ready() == ([first, second] if play == "install" else [])
    assert {configuration(fleet, name) for name in fleet.names} == {CONFIG}
    calls = fleet.api.calls()
    assert not [call for call in calls if call == f"uncordon {first}"]


@pytest.mark.full("plays on nodes that are directories; half a minute")
def test_a_node_that_fails_in_the_cluster_gets_no_pods(fleet):
    """containerd serves the runtime there, and a pod of it does not end: the label goes with the runtime."""
    first, second = fleet.names
    fleet.api.change(second, stuck=True)
    told = fleet.play("install", *IN_THE_CLUSTER, check=False)
    nodes = {node["node"]: node for node in told["report"]["nodes"]}
    assert told["status"] != 0 and nodes[second]["state"] == "rolled_back", nodes
    assert f"timed out waiting for the condition on pods/reaper-try-{second}" in nodes[second]["message"]
    assert configuration(fleet, second) == CONFIG
    assert fleet.api.closed() == {} and fleet.api.ready() == [first]


@pytest.mark.full("plays on nodes that are directories; half a minute")
def test_the_version_before_serves_pods_again(fleet, tmp_path):
    fleet.play("install", "-e", f"reaper_package={repack.deb(tmp_path)}", *IN_THE_CLUSTER)
    fleet.play("upgrade", *IN_THE_CLUSTER)
    told = fleet.play("rollback", *IN_THE_CLUSTER)
    assert {node["after"] for node in told["report"]["nodes"]} == {repack.OLDER}
    assert fleet.api.closed() == {} and fleet.api.ready() == fleet.names
