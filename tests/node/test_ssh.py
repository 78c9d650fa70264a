"""The playbooks over SSH as in production: a user of its own, a key, sudo with a password, and no
Python on the node."""

import re

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, run

pytestmark = pytest.mark.submission("the other connection that the same code has to serve; a minute")


@pytest.fixture
def reached(stock, tmp_path):
    """A node with sshd and sudo, and an inventory for it."""
    node = stock("trixie")
    node.run("apt-get", "-q", "update", timeout=120)
    node.run("apt-get", "-q", "-y", "install", "--no-install-recommends", "openssh-server", "sudo", timeout=300)
    node.run("useradd", "--create-home", "--shell", "/bin/sh", "ops")
    node.run("chpasswd", input="ops:secret\n")
    node.path("/etc/sudoers.d/ops").write_text("ops ALL=(ALL) ALL\n")
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"])
    node.path("/home/ops/.ssh").mkdir()
    node.path("/home/ops/.ssh/authorized_keys").write_text((tmp_path / "key.pub").read_text())
    node.run("chown", "-R", "ops:", "/home/ops/.ssh")
    node.run("systemctl", "start", "ssh")
    address = node.run("hostname", "-I").stdout.split()[0]
    inventory = tmp_path / "inventory.ini"
    inventory.write_text(
        f"[k8s_nodes]\nover-ssh ansible_host={address}\n[k8s_nodes:vars]\nansible_user=ops\n"
        f"ansible_ssh_private_key_file={tmp_path}/key\nansible_become_password=secret\n"
        f"ansible_ssh_common_args='-o UserKnownHostsFile={tmp_path}/hosts -o StrictHostKeyChecking=accept-new'\n"
    )
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
