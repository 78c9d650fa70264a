"""Years of upgrades in minutes: the older version, this one, the older one again, removal and purge, ten times."""

import contextlib
import hashlib
import os
import shutil

import pytest

import repack
from installed import CONFIG, assert_does_not_serve, assert_serves, containerd_main_pid, package
from machine import Node
from pods import Pods
from waiting import until

pytestmark = pytest.mark.full("minutes for each configuration")

CYCLES = 10


def etc(node):
    """Every file of /etc: what it is, its mode, owner and bytes."""
    found = {}
    top = node.path("/etc")
    for directory, _, names in os.walk(top):
        for path in [directory, *(os.path.join(directory, name) for name in names)]:
            status = os.lstat(path)
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            else:
                content = ""
            found[os.path.relpath(path, top)] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def difference(before, after):
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def as_ubuntu_has_it(node):
    """Ubuntu's package of containerd has no config.toml, and no directory for it either."""
    node.run("rm", "-r", "/etc/containerd")
    # where containerd's own defaults look for the pod network's programs
    node.run("sh", "-c", "mkdir -p /opt/cni && ln -sfn /usr/lib/cni /opt/cni/bin")
    node.restart_containerd()


def as_shipped(node):
    """The file as the suite's package has it: dpkg has not seen a change."""
    assert node.run("dpkg", "--verify", "containerd").stdout == ""


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    directory = tmp_path_factory.mktemp("older")
    return {"deb": repack.deb(directory), "rpm": repack.rpm(directory)}


@pytest.fixture
def node(request):
    suite = request.getfixturevalue("suite")
    made = Node(suite, f"reaper-test-cycle-{suite}", install=False, prepare=False)
    yield made
    made.remove()


def merged(node):
    """What neither an upgrade nor a downgrade may change."""
    return node.path(CONFIG).read_bytes(), containerd_main_pid(node)


# forky has the containerd of sid, and its file
@pytest.mark.parametrize(
    "suite, dress", [("bookworm", as_shipped), ("trixie", as_shipped), ("forky", as_shipped), ("trixie", as_ubuntu_has_it)],
    ids=["debian-12", "debian-13", "debian-sid", "ubuntu"],
)  # fmt: skip
def test_ten_cycles_of_apt(node, suite, dress, older):
    dress(node)
    shutil.copy(older["deb"], node.path("/root/older.deb"))
    shutil.copy(package(), node.path("/root/this.deb"))

    def apt(*arguments):
        result = node.run("apt-get", "-q", "-y", "--allow-downgrades", *arguments, timeout=300)
        assert "reaper: warning" not in result.stderr, result.stderr
        assert node.run("dpkg", "--audit").stdout == ""
        node.wait_for_cri()

    before = etc(node)
    for cycle in range(CYCLES):
        apt("install", "/root/older.deb")
        assert_serves(node)
        file = merged(node)
        apt("install", "/root/this.deb")
        # neither an upgrade nor a downgrade changes the file or restarts containerd
        assert merged(node) == file
        if cycle == 0:
            pods = Pods(node)
            try:
                assert pods.sandbox().run("/bin/echo", "works") == (0, "works\n")
            finally:
                pods.close()
        installed = etc(node)
        apt("install", "/root/older.deb")
        assert merged(node) == file
        assert difference(installed, etc(node)) == []
        apt("remove", "reaper")
        assert_does_not_serve(node)
        # dpkg keeps configuration files until the purge
        own = {"needrestart", "needrestart/conf.d", "needrestart/conf.d/reaper.conf", "reaper", "reaper/reaper.conf",
               "reaper/policy.d", "reaper/policy.d/README"}  # fmt: skip
        assert {name for name in difference(before, etc(node)) if not name.startswith("systemd")} == own
        apt("purge", "reaper")
        assert difference(before, etc(node)) == []
        assert not node.path("/var/lib/reaper").exists()


@pytest.mark.parametrize("suite", ["rpm"])
def test_ten_cycles_of_dnf(node, suite, older):
    shutil.copy(older["rpm"], node.path("/root/older.rpm"))
    shutil.copy(package("rpm"), node.path("/root/this.rpm"))

    def dnf(*arguments):
        said = node.run("dnf", "-y", "--disablerepo=*", "--setopt=gpgcheck=0", *arguments, timeout=300)
        assert "warning" not in said.stdout + said.stderr, said.stdout + said.stderr
        node.wait_for_cri()

    before = etc(node)
    for _ in range(CYCLES):
        dnf("install", "/root/older.rpm")
        assert_serves(node)
        file = merged(node)
        dnf("upgrade", "/root/this.rpm")
        assert merged(node) == file
        dnf("downgrade", "/root/older.rpm")
        assert merged(node) == file
        assert node.run("rpm", "-V", "reaper").stdout == ""
        dnf("remove", "reaper")
        assert_does_not_serve(node)
        assert difference(before, etc(node)) == []
        assert node.run("rpm", "-V", "--nomtime", "containerd").stdout == ""


@pytest.mark.parametrize("suite", ["bookworm"])
def test_a_hundred_pods_run_on_through_an_upgrade(node, suite, older):
    """None ends, and each answers exec and goes on with its log; then each ends as it is told."""
    shutil.copy(older["deb"], node.path("/root/older.deb"))
    shutil.copy(package(), node.path("/root/this.deb"))
    node.run("apt-get", "-q", "-y", "install", "/root/older.deb", timeout=300)
    pods = Pods(node)
    with contextlib.closing(pods):
        script = "trap 'exit 17' TERM; echo started; while [ ! -e /tmp/go-$0 ]; do sleep 1 & wait $!; done; echo upgraded; sleep 600 & wait $!"
        running = []
        for number in range(100):
            pod = pods.sandbox()
            running.append((pod, pod.start("/bin/sh", "-c", script, str(number))))
        shims = node.shims()
        assert len(shims) >= 100
        node.run("apt-get", "-q", "-y", "install", "/root/this.deb", timeout=300)
        assert node.run("dpkg-query", "-W", "-f", "${Version}", "reaper").stdout != repack.OLDER
        assert node.shims() == shims
        for number, (pod, container) in enumerate(running):
            assert pod.state(container) == "CONTAINER_RUNNING"
            assert pod.exec(container, "/bin/sh", "-c", f"touch /tmp/go-{number}; echo {number}") == (0, f"{number}\n", "")
        for pod, container in running:
            until(lambda p=pod, c=container: p.output(c) == "started\nupgraded\n", what=f"the log of {container}")
        for pod, container in running:
            pods.cri.stop_container(container, 30)
            assert pods.cri.container_status(container).exit_code == 17
