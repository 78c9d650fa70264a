"""The playbooks over SSH as in production: a user of its own, a key, sudo with a password, and no
Python on the node."""

import re

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, run
from over_ssh import let_in

pytestmark = pytest.mark.submission("the other connection that the same code has to serve; a minute")


@pytest.fixture
def reached(stock, tmp_path):
    """A node with sshd and sudo, and an inventory for it."""
    node = stock("trixie")
    _, inventory = let_in(node, tmp_path)
    return node, inventory


def install_reaper(inventory, *arguments, check=True):
    """Returns (how much changed, all that was said)."""
    command = [SOURCE / "scripts/install-reaper.sh", "--inventory", inventory, *arguments]
    result = run(command, check=check, timeout=300, cwd="/")
    changed = re.search(r"changed=(\d+)", result.stdout)
    return int(changed.group(1)) if changed else None, result.stdout + result.stderr


def test_the_whole_way(reached):
    node, inventory = reached
    before = file_state(node.path(CONFIG))
    assert install_reaper(inventory, "--package", package(), "--dry-run")[0] == 2
    assert file_state(node.path(CONFIG)) == before
    assert install_reaper(inventory, "--package", package())[0] == 2
    assert_serves(node)
    assert install_reaper(inventory, "--package", package())[0] == 0
    assert install_reaper(inventory, "--rollback")[0] == 2
    assert_does_not_serve(node)
    assert file_state(node.path(CONFIG)) == before
    # nothing of the transfers is left
    assert not [p for top in ("/run", "/tmp", "/dev/shm", "/home/ops") for p in node.path(top).glob("reaper-*")]

    inventory.write_text(inventory.read_text().replace("=secret", "=wrong"))
    said = install_reaper(inventory, "--verify", check=False)[1]
    assert "over-ssh: Incorrect sudo password" in said
