"""dpkg and dnf killed or out of space in the middle: the next run heals, and containerd never notices."""

import re
import shutil

import pytest

import repack
from installed import CONFIG, assert_does_not_serve, assert_serves, containerd_main_pid, file_state, package
from machine import Node

pytestmark = pytest.mark.full("two seconds for each moment a power cut can choose")

DEB = "/root/reaper.deb"
KILL = "/run/kill-dpkg"


def armed(tree):
    """Each script can be told to kill the dpkg that called it: with its work undone, or done."""
    control = tree / "DEBIAN"
    for name in ("postinst", "prerm", "postrm"):
        script = control / name
        text = script.read_text()
        hit = f'[ "$(cat {KILL} 2>/dev/null)" = "{name} $1 %s" ] && {{ rm {KILL}; kill -9 $PPID; exit 1; }} || :\n'
        text = text.replace("set -e\n", "set -e\n" + hit % "begin", 1)
        assert text.endswith("exit 0\n")
        script.write_text(text.removesuffix("exit 0\n") + hit % "end" + "exit 0\n")
    if "0.0" in (control / "control").read_text():
        repack.age(tree)


@pytest.fixture(scope="module")
def killable(tmp_path_factory):
    directory = tmp_path_factory.mktemp("killable")
    node = Node("trixie", "reaper-test-killed-dpkg", install=False, prepare=False)
    for version in (repack.OLDER, "0.0.10"):
        shutil.copy(repack.deb(directory, version, armed), node.path(f"/root/{version}.deb"))
    yield node
    node.remove()


def dpkg(node, *arguments, check=True):
    return node.run("dpkg", *arguments, check=check, timeout=120)


def install(node, version):
    return dpkg(node, "--install", f"/root/{version}.deb")


def state(node):
    found = node.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "reaper", check=False).stdout
    return found or "unknown"


# what was there before, the command, the script at which dpkg dies, and what brings the node to the command's end
CONFIGURE, AGAIN, UNPACK = "dpkg --configure -a", "the command once more", "the command once more, which dpkg asks for"
MOMENTS = [
    (None, "--install", "postinst configure", CONFIGURE),
    (repack.OLDER, "--install", "prerm upgrade", UNPACK),
    (repack.OLDER, "--install", "postrm upgrade", AGAIN),
    (repack.OLDER, "--install", "postinst configure", CONFIGURE),
    ("0.0.10", "--remove", "prerm remove", AGAIN),
    ("0.0.10", "--remove", "postrm remove", AGAIN),
    ("0.0.10", "--purge", "prerm remove", AGAIN),
    ("0.0.10", "--purge", "postrm remove", AGAIN),
    ("0.0.10", "--purge", "postrm purge", AGAIN),
    ("0.0.10", "--triggers-only", "postinst triggered", CONFIGURE),
]


@pytest.mark.parametrize("when", ["begin", "end"])
@pytest.mark.parametrize("before, command, script, heals", MOMENTS, ids=lambda value: str(value).split(",")[0].replace(" ", "-"))
def test_dpkg_is_killed(killable, before, command, script, heals, when):
    node = killable
    node.run("sh", "-c", "dpkg --force-all --purge reaper || :")
    assert_does_not_serve(node)
    original = file_state(node.path(CONFIG))
    if before:
        install(node, before)
        assert_serves(node)
    wanted = {"--remove": "config-files", "--purge": None}.get(command, "installed")
    argv = [command, "/root/0.0.10.deb" if command == "--install" else "reaper"]
    if command == "--triggers-only":
        node.run("dpkg-trigger", "--by-package=containerd", CONFIG)
    node.path(KILL).write_text(f"{script} {when}\n")
    died = dpkg(node, *argv, check=False)
    assert died.returncode != 0, died.stdout + died.stderr
    assert not node.path(KILL).exists(), "the script was never called"
    node.wait_for_cri()

    said = dpkg(node, "--configure", "-a", check=heals != UNPACK).stderr
    assert ("reinstall it" in said) == (heals == UNPACK)
    reached = re.search(f" {wanted}$", state(node)) if wanted else state(node) == "unknown"
    if heals == CONFIGURE:
        assert reached, state(node)
    else:
        dpkg(node, *argv)
    assert dpkg(node, "--audit").stdout == ""
    if wanted == "installed":
        assert state(node) == "0.0.10 installed"
        assert_serves(node)
        assert dpkg(node, "--verify", "reaper").stdout == ""
        dpkg(node, "--purge", "reaper")
    assert_does_not_serve(node)
    assert file_state(node.path(CONFIG)) == original
    assert not list(node.path("/usr/bin").glob("*reaper*"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A node with an older package at hand."""
    node = Node("bookworm", "reaper-test-full-disk", install=False, prepare=False)
    shutil.copy(package(), node.path(DEB))
    shutil.copy(repack.deb(tmp_path_factory.mktemp("older")), node.path("/root/older.deb"))
    yield node
    node.remove()


def fill(node, size="700k"):
    """What is written to /usr/bin from now on goes to a file system that is nearly full."""
    node.run("sh", "-ec", f"""
        mkdir -p /mnt/small && mount -t tmpfs -o size={size} none /mnt/small && mkdir /mnt/small/u /mnt/small/w
        mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/small/u,workdir=/mnt/small/w none /usr/bin""")


def make_room(node):
    # programs that were started meanwhile hold it
    node.run("sh", "-ec", "umount -l /usr/bin; umount -l /mnt/small")


@pytest.mark.parametrize("before", [False, True], ids=["first", "upgrade"])
def test_dpkg_has_no_space(plain, before):
    node = plain
    if before:
        dpkg(node, "--install", "/root/older.deb")
    config, pid = file_state(node.path(CONFIG)), containerd_main_pid(node)
    fill(node)
    try:
        failed = dpkg(node, "--install", DEB, check=False)
    finally:
        make_room(node)
    assert failed.returncode != 0
    assert "No space left on device" in failed.stderr
    # the older one is whole again, or nothing of ours is there
    assert re.fullmatch(f"{repack.OLDER} installed" if before else "unknown|.* not-installed", state(node))
    assert dpkg(node, "--audit").stdout == ""
    assert (file_state(node.path(CONFIG)), containerd_main_pid(node)) == (config, pid)
    if before:
        assert dpkg(node, "--verify", "reaper").stdout == ""
        assert_serves(node)
    dpkg(node, "--install", DEB)
    assert_serves(node)
    dpkg(node, "--purge", "reaper")
    assert_does_not_serve(node)


RPM = "/root/reaper.rpm"


def dnf(node, *arguments, check=True):
    result = node.run("dnf", "-y", "--disablerepo=*", "--setopt=gpgcheck=0", *arguments, check=check, timeout=300)
    return result.stdout + result.stderr


def version(node):
    return re.findall("^version (.*)$", node.run("rpm", "-q", "--qf", "version %{VERSION}\n", "reaper", check=False).stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def fedora(tmp_path_factory):
    node = Node("rpm", "reaper-test-rpm-faults", install=False, prepare=False)
    directory = tmp_path_factory.mktemp("rpms")
    shutil.copy(package("rpm"), node.path(RPM))
    shutil.copy(repack.rpm(directory), node.path("/root/older.rpm"))
    yield node
    node.remove()


@pytest.mark.parametrize("before", [False, True], ids=["first", "upgrade"])
def test_rpm_has_no_space(fedora, before):
    node = fedora
    if before:
        dnf(node, "install", "/root/older.rpm")
    was = version(node)
    config, pid = file_state(node.path(CONFIG)), containerd_main_pid(node)
    fill(node)
    try:
        # rpm's own look at the free space is passed by, for it may be used up a moment later
        failed = node.run("rpm", "--upgrade", "--ignoresize", RPM, check=False, timeout=120)
    finally:
        make_room(node)
    assert failed.returncode != 0
    assert "unpacking of archive failed" in failed.stderr
    assert version(node) == was
    node.wait_for_cri()
    assert (file_state(node.path(CONFIG)), containerd_main_pid(node)) == (config, pid)
    dnf(node, "install", RPM)
    assert_serves(node)
    assert node.run("rpm", "-V", "reaper").stdout == ""
    dnf(node, "remove", "reaper")
    assert_does_not_serve(node)
    node.run("rm", "-rf", "/var/lib/reaper")


@pytest.fixture(scope="module")
def armed_rpms(fedora, tmp_path_factory):
    """Both versions, whose reaperctl can be told to kill the package manager that called the script."""
    directory = tmp_path_factory.mktemp("armed")

    def arm(tree):
        repack.age(tree)
        real = tree / "usr/bin/reaperctl"
        real.rename(tree / "usr/bin/reaperctl.real")
        # the script's shell is the parent, rpm or dnf is above it
        real.write_text(f"""#!/bin/sh
hit() {{
    [ "$(cat {KILL} 2>/dev/null)" = "$2 $1" ] || return 0
    rm {KILL}
    kill -9 "$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)"
    exit 1
}}
hit begin "$2"
/usr/bin/reaperctl.real "$@"
status=$?
hit end "$2"
exit $status
""")
        real.chmod(0o755)

    made = {}
    for number in (repack.OLDER, "0.0.10"):
        made[number] = f"/root/armed-{number}.rpm"
        shutil.copy(repack.rpm(directory, number, arm, extra=["/usr/bin/reaperctl.real"]), fedora.path(made[number]))
    return made


@pytest.mark.parametrize("when", ["begin", "end"])
@pytest.mark.parametrize(
    "before, command, moment",
    [(None, "install", "configure"), (None, "install", "triggered"), (repack.OLDER, "install", "configure"),
     (repack.OLDER, "install", "triggered"), ("0.0.10", "remove", "remove")],
)  # fmt: skip
def test_dnf_is_killed(fedora, armed_rpms, before, command, moment, when):
    """The next dnf run brings the node where the killed one was to bring it."""
    node = fedora
    original = file_state(node.path(CONFIG))
    if before:
        dnf(node, "install", armed_rpms[before])
        assert_serves(node)
    argv = [command, armed_rpms["0.0.10"] if command == "install" else "reaper"]
    node.path(KILL).write_text(f"{moment} {when}\n")
    died = node.run("dnf", "-y", "--disablerepo=*", "--setopt=gpgcheck=0", *argv, check=False, timeout=300)
    assert died.returncode != 0, died.stdout + died.stderr
    assert not node.path(KILL).exists(), "the script was never called"
    node.wait_for_cri()
    if command == "install":
        # killed behind its own database's change, rpm takes the package for installed
        again = "reinstall" if version(node)[-1:] == ["0.0.10"] else "install"
        dnf(node, again, armed_rpms["0.0.10"])
        dnf(node, "remove", "--duplicates", check=False)
        assert version(node) == ["0.0.10"]
        assert_serves(node)
        assert node.run("rpm", "-V", "reaper").stdout == ""
    dnf(node, "remove", "reaper")
    assert version(node) == []
    assert_does_not_serve(node)
    assert file_state(node.path(CONFIG)) == original
    node.run("rm", "-rf", "/var/lib/reaper")
