"""A node that stops answering in the middle of a roll-out."""

import pytest

from simulated import CONFIG, Fleet

def state_of(fleet, name):
    """before, after, or what is between: a package that containerd knows nothing of."""
    tree = fleet.top / name
    configured = "reaper-v2" in (tree / "etc/containerd/config.toml").read_text()
    installed = (tree / "var/lib/reaper-version").exists()
    assert installed or not configured, f"{name}: containerd's configuration names a runtime that is not there"
    assert configured or (tree / "etc/containerd/config.toml").read_text() == CONFIG
    assert (tree / "bin/reaperctl").exists() == installed
    return "after" if configured else "installed" if installed else "before"


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
