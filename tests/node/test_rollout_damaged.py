"""The way back on a node that has lost what it would use for it: package database, state, containerd."""

import os
import re

import pytest

from fleet import differences, files, roll
from installed import CONFIG, assert_does_not_serve, file_state, package

pytestmark = pytest.mark.full("a node for each kind of damage; a minute")


def forget(node):
    """As a database that was restored from a day before the installation."""
    status = node.path("/var/lib/dpkg/status")
    status.write_text("".join(part for part in re.split(r"(?<=\n\n)", status.read_text()) if not part.startswith("Package: reaper\n")))
    for path in node.path("/var/lib/dpkg/info").glob("reaper.*"):
        path.unlink()


def everything(node):
    """What is in /etc, and that it is in /usr."""
    root = str(node.path("/")).rstrip("/")
    usr = {os.path.join(top, name)[len(root) :] for top, directories, names in os.walk(f"{root}/usr") for name in directories + names}
    return {**dict.fromkeys(usr), **files(node, "/etc")}


DAMAGES = {
    "database": forget,
    "state": lambda node: node.run("rm", "-r", "/var/lib/reaper"),
    "database_and_state": lambda node: (forget(node), node.run("rm", "-r", "/var/lib/reaper")),
    "containerd": lambda node: node.run("sh", "-c", "systemctl stop containerd && rm /usr/bin/containerd"),
    "containerd_s_package": lambda node: node.run("apt-get", "-q", "-y", "remove", "containerd", timeout=120),
}


@pytest.mark.parametrize("what", DAMAGES)
@pytest.mark.parametrize("way", ["--uninstall", "--rollback"])
def test_every_byte_comes_back(stock, tmp_path, what, way):
    node = stock("bookworm")
    if what == "containerd_s_package":
        # the configuration is no package's any more, and stays
        node.run("apt-get", "-q", "update", timeout=120)
    config = file_state(node.path(CONFIG))
    before = everything(node)
    roll(node.cluster, tmp_path, "--package", package())
    assert file_state(node.path(CONFIG)) != config
    DAMAGES[what](node)
    lost = set(before) - set(everything(node))
    result, report = roll(node.cluster, tmp_path, way, check=False)
    assert result.returncode == 0, result.stderr
    assert file_state(node.path(CONFIG)) == config
    after = everything(node)
    assert differences({path: before[path] for path in set(before) - lost}, {path: after[path] for path in set(after) - lost}) == []
    assert not node.path("/var/lib/reaper").exists() and not node.path("/run/reaper-job").exists()
    if "containerd" not in what:
        assert_does_not_serve(node)
    # and once more there is nothing to do
    _, report = roll(node.cluster, tmp_path, way)
    assert report[node.name]["state"] == "unchanged"
