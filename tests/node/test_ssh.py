"""The playbooks over SSH as in production: a user of its own, a key, sudo with a password, and no
Python on the node."""

import os
import re
import signal
import subprocess
import sys

import pytest

from fleet import Gate, assert_before, differences, files, settled
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
    etc = files(node, "/etc")
    right = inventory.read_text()
    inventory.write_text(right.replace("=secret", "=wrong"))
    said = install_reaper(inventory, "--package", package(), check=False)[1]
    assert "install-reaper: error: over-ssh: Incorrect sudo password" in said
    assert_before(node, etc)
    inventory.write_text(right)
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
    assert differences(etc, files(node, "/etc")) == []


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.mark.full("a connection that is cut in the worst moment; a minute")
def test_ssh_drops_between_write_and_restart(reached):
    """The node goes on by itself to the end; the next call takes its answer and has nothing to do."""
    node, inventory = reached
    gate = Gate(node)
    call = [SOURCE / "scripts/install-reaper.sh", "--inventory", inventory, "--package", package()]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", stdin=subprocess.DEVNULL) as running:
        gate.wait()
        cut = [pid for pid in node.processes() if re.search(r"^sshd.*: ops", command_line(pid))]
        assert cut
        for pid in cut:
            os.kill(pid, signal.SIGKILL)
        _, said = running.communicate(timeout=300)
    assert running.returncode != 0
    assert said.splitlines()[-1].startswith("install-reaper: error: over-ssh: "), said
    assert "reaper-v2" in node.path(CONFIG).read_text(), "it was written before"
    gate.open()
    settled(node)
    gate.remove()
    assert_serves(node)
    assert list(node.path("/run/reaper-job").glob("containerd-*.status"))
    pid = node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout
    assert install_reaper(inventory, "--package", package())[0] == 0
    assert node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout == pid
    assert not node.path("/run/reaper-job").exists()


@pytest.mark.full("Python for a node, from its distribution; a minute")
def test_ping_with_each_inventory(reached, tmp_path):
    """The first command of the documentation, with each inventory that needs no account; and -m raw without Python."""
    node, inventory = reached
    address = node.run("hostname", "-I").stdout.split()[0]
    node.path("/root/.ssh").mkdir(mode=0o700, exist_ok=True)
    node.path("/root/.ssh/authorized_keys").write_text((tmp_path / "key.pub").read_text())
    node.run("chown", "-R", "root:", "/root/.ssh")
    # every name is this node, the bastion too
    (tmp_path / "ssh_config").write_text(
        f"Host *\n HostName {address}\n IdentityFile {tmp_path}/key\n UserKnownHostsFile {tmp_path}/hosts\n"
        " StrictHostKeyChecking accept-new\n HostKeyAlias one\n"
    )
    environment = {**os.environ, "ANSIBLE_SSH_ARGS": f"-F {tmp_path}/ssh_config"}
    ansible = [f"{os.path.dirname(sys.executable)}/ansible", "k8s_nodes", "--forks", "2"]
    raw = run([*ansible, "-i", inventory, "-m", "raw", "-a", "true"], env=environment, cwd="/")
    assert "over-ssh | CHANGED | rc=0" in raw.stdout
    node.run("apt-get", "-q", "-y", "install", "--no-install-recommends", "python3", timeout=600)
    for path in ("inventory.ini.example", "inventories/bastion.ini", "inventories/architectures.ini"):
        said = run([*ansible, "-i", SOURCE / "ansible" / path, "-m", "ping"], env=environment, cwd="/", timeout=600)
        assert said.stdout.count('"ping": "pong"') >= 3, (path, said.stdout)
