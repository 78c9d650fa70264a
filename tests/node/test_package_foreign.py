"""The package of arm64 where arm64 is emulated: a root of another architecture is how images for other machines are made."""

import pytest

from installed import CONFIG, file_state, package
from machine import SOURCE, run

pytestmark = pytest.mark.full("makes a root of another architecture under emulation, some minutes")

ARCH = "arm64"
ENTER = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'


@pytest.fixture
def foreign(tmp_path):
    """A minimal Debian of arm64 with containerd: a call runs a command in it. (directory, call)"""
    run([SOURCE / "ci/build-packages.sh", "--arch", ARCH, "deb"], timeout=1800)
    tar = run([SOURCE / "ci/foreign-root.sh", ARCH], timeout=3600).stdout.strip()
    root = tmp_path / "root"
    root.mkdir()
    run(["tar", "--numeric-owner", "-xpf", tar, "-C", root])
    (root / "root/reaper.deb").write_bytes(package("deb", ARCH).read_bytes())

    def call(*command, check=True):
        return run([SOURCE / "ci/emulated.sh", ARCH, "sh", "-c", ENTER, root, *command], timeout=1800, check=check)

    return root, call


def files(root, below):
    return {str(path.relative_to(root)): file_state(path) for path in (root / below).rglob("*") if path.is_file() and not path.is_symlink()}


def test_installed_removed_and_purged_in_a_root_of_another_architecture(foreign):
    root, call = foreign
    assert call("dpkg", "--print-architecture").stdout == f"{ARCH}\n"
    config = root / CONFIG[1:]
    before = files(root, "etc")
    said = call("dpkg", "--install", "/root/reaper.deb")
    assert "the runtime was added" in said.stdout + said.stderr and "reaper: warning" not in said.stdout + said.stderr
    assert call("dpkg", "--audit").stdout == ""
    # judged by containerd of that architecture, and so does the program itself
    assert "io.containerd.reaper.v2" in call("containerd", "config", "dump").stdout
    assert call("reaperctl", "containerd", "status").returncode == 0
    assert call("containerd-shim-reaper-v2", "-v").stdout.startswith("containerd-shim-reaper-v2 ")
    call("dpkg", "--remove", "reaper")
    assert call("dpkg", "--audit").stdout == ""
    assert file_state(config) == before[CONFIG[1:]]
    call("dpkg", "--install", "/root/reaper.deb")
    call("dpkg", "--purge", "reaper")
    assert call("dpkg", "--audit").stdout == ""
    assert files(root, "etc") == before
    assert not (root / "var/lib/reaper").exists() and not (root / "usr/bin/reaperctl").exists()
