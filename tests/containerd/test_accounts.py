"""Accounts and packages of a node inside of its pods: there, without the passwords."""

import pytest

pytestmark = pytest.mark.submission("a hash of the node's root is the node; useradd and dpkg are half of what host pods do")

SCRIPT = """set -e
cut -d: -f1,2 /etc/shadow | grep ^root:
useradd -m reaper-user; echo reaper-user:another-password | chpasswd; passwd -S reaper-user | cut -d' ' -f1,2
mkdir -p /tmp/p/DEBIAN /tmp/p/etc/sudoers.d; cd /tmp/p
printf 'Package: reaper-test\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' >DEBIAN/control
printf '#!/bin/sh\\nset -e\\nuseradd --system reaper-pkg\\n' >DEBIAN/postinst; chmod 755 DEBIAN/postinst
echo x >etc/sudoers.d/reaper-test
dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null; dpkg -i /tmp/p.deb >/dev/null 2>&1; id -un reaper-pkg
"""


@pytest.fixture
def password(node):
    """A password for the node's root."""
    shadow = node.path("/etc/shadow")
    before = shadow.read_bytes()
    node.run("sh", "-c", "echo root:password-of-the-node | chpasswd")
    yield shadow.read_bytes()
    shadow.write_bytes(before)


def test_accounts_are_made_and_packages_installed_without_the_nodes_passwords(node, pods, password):
    assert b"root:$" in password
    code, text = pods.sandbox().run("/bin/sh", "-c", SCRIPT)
    assert (code, text) == (0, "root:!\nreaper-user P\nreaper-pkg\n")
    assert node.path("/etc/shadow").read_bytes() == password
