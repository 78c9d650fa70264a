"""The rpm on a node whose containerd is an rpm: real rpm and dnf, installation to removal."""

import re
import subprocess

import pytest

from installed import CONFIG, add_pod_network, assert_does_not_serve, assert_serves, file_state, package, run_example
from machine import SOURCE
from pods import Pods

pytestmark = pytest.mark.submission("how half of all nodes get Reaper; five to ten seconds each")

RPM = "/root/reaper.rpm"
NEXT = "/root/rpms/containerd-1.6.20-2.rpm"


@pytest.fixture
def node(stock):
    node = stock("rpm")
    node.path(RPM).write_bytes(package("rpm").read_bytes())
    return node


def dnf(node, *arguments, check=True):
    result = node.run("dnf", "-y", "--disablerepo=*", "--setopt=gpgcheck=0", *arguments, check=check, timeout=300)
    return result.stdout + result.stderr


def main_pid(node):
    return node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout


def is_installed(node, name="reaper"):
    return node.run("rpm", "-q", name, check=False).returncode == 0


def merged(said):
    """How often containerd's configuration was changed."""
    return len(re.findall("^reaperctl: .* was (added|updated|removed)", said, re.MULTILINE))


def test_install_run_remove(node):
    add_pod_network(node)
    before = file_state(node.path(CONFIG))
    said = dnf(node, "install", RPM)
    # %triggerin, %transfiletriggerin and %posttrans have all been called
    assert merged(said) == 1, said
    assert_serves(node)
    pods = Pods(node)
    try:
        run_example(pods)
    finally:
        pods.close()
    assert node.run("systemctl", "is-enabled", "reaper-boot").stdout == "enabled\n"
    said = dnf(node, "remove", "reaper")
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    assert node.run("rpm", "-V", "--nomtime", "containerd").stdout == ""
    left = node.run("find", "/etc", "/usr", "/var/lib", "/run", "-path", "*reaper*", "!", "-path", "*reaper-test*").stdout
    # rpm knows no purge: the bytes from before stay, and their place is named
    kept = "/var/lib/reaper/containerd/backups"
    assert all(kept.startswith(line) or line.startswith(kept) for line in left.splitlines()), left
    assert "reaper: kept: /var/lib/reaper" in said


def test_pods_run_on_through_an_upgrade(node):
    dnf(node, "install", RPM)
    before = file_state(node.path(CONFIG)), main_pid(node)
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sh", "-c", "trap 'exit 17' TERM; echo ready; while :; do sleep 0.1; done")
        shims = node.shims()
        said = dnf(node, "reinstall", RPM)
        assert merged(said) == 0, said
        assert (file_state(node.path(CONFIG)), main_pid(node)) == before
        assert node.shims() == shims
        # a time for the next pod, which looks then whether files in use were replaced
        assert node.path("/run/reaper/packages").exists()
        assert pod.exec(container, "/bin/echo", "on") == (0, "on\n", "")
        pods.cri.stop_container(container, 30)
        assert pods.cri.container_status(container).exit_code == 17
    finally:
        pods.close()


def test_remove_is_refused_while_pods_run(node):
    dnf(node, "install", RPM)
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sleep", "600")
        said = dnf(node, "remove", "reaper", check=False)
        assert "reaper: error: containerd's configuration still names reaper-v2" in said
        assert is_installed(node)
        assert pod.exec(container, "/bin/echo", "on") == (0, "on\n", "")
        assert_serves(node)
    finally:
        pods.close()
    dnf(node, "remove", "reaper")
    assert_does_not_serve(node)


def test_containerd_comes_after_us(node):
    """%triggerin: nothing is to be merged at our installation."""
    dnf(node, "remove", "containerd")
    said = dnf(node, "install", RPM)
    assert merged(said) == 0
    assert not node.path(CONFIG).exists()
    said = dnf(node, "install", "/root/rpms/containerd-1.6.20-1.rpm")
    # as the next boot does
    node.start_containerd()
    node.run("systemctl", "start", "reaper-boot")
    assert_serves(node)


def test_both_in_one_transaction(node):
    dnf(node, "remove", "containerd")
    said = dnf(node, "install", RPM, "/root/rpms/containerd-1.6.20-1.rpm")
    assert merged(said) == 1, said
    # as the next boot does
    node.start_containerd()
    node.run("systemctl", "start", "reaper-boot")
    assert_serves(node)


def test_an_upgrade_of_containerd_keeps_the_runtime(node):
    """Its new config.toml comes as .rpmnew, for ours is a change; the trigger proves the merge again."""
    dnf(node, "install", RPM)
    before = file_state(node.path(CONFIG))
    dnf(node, "upgrade", NEXT)
    node.wait_for_cri()
    assert_serves(node)
    assert file_state(node.path(CONFIG)) == before
    assert node.path(CONFIG + ".rpmnew").exists()


def test_containerd_goes_first(node):
    """%triggerun gives the file back: what rpm keeps of it is what was shipped."""
    before = node.path(CONFIG).read_bytes()
    dnf(node, "install", RPM)
    dnf(node, "remove", "containerd")
    assert not node.path(CONFIG).exists()
    assert node.path(CONFIG + ".rpmsave").read_bytes() == before
    dnf(node, "remove", "reaper")
    assert not is_installed(node)


def test_a_containerd_of_another_package(node):
    """%transfiletriggerin: whatever package brings /usr/bin/containerd."""
    dnf(node, "install", RPM)
    node.run("reaperctl", "containerd", "undo")
    said = dnf(node, "reinstall", "/root/rpms/containerd-1.6.20-1.rpm")
    assert merged(said) == 1, said
    # and what is not exactly that path is nobody's business: our own shim begins with it
    scripts = node.run("rpm", "-q", "--filetriggers", "reaper").stdout
    (body,) = re.findall(r"transfiletriggerin .*?\n(.*?)\n\n?$", scripts, re.DOTALL) or [scripts]
    assert "grep -qx /usr/bin/containerd" in body


def test_a_pod_that_runs_rpm_leaves_the_nodes_containerd_alone(node):
    """A view has the node's package database, so rpm in it calls every script of this package."""
    dnf(node, "install", RPM)
    before = file_state(node.path(CONFIG)), main_pid(node)
    pods = Pods(node)
    try:
        security = {"privileged": True}
        pod = pods.sandbox(linux={"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}, **security}})
        status, said = pod.run("/bin/sh", "-c", f"reaperctl containerd apply --json; rpm --upgrade --replacepkgs {RPM} 2>&1 && "
                               f"rpm --erase reaper 2>&1 && rpm --install {RPM} 2>&1", security=security)  # fmt: skip
        assert status == 0, said
        assert '"inside-a-view"' in said
        # %posttrans, %triggerin and its like, %preun, %posttrans
        assert said.count("reaper: this is the view of a Reaper pod") >= 3, said
        assert (file_state(node.path(CONFIG)), main_pid(node)) == before
    finally:
        pods.close()
    assert_serves(node)


def test_the_merge_can_be_switched_off(node):
    conf = node.path("/etc/reaper/reaper.conf")
    conf.parent.mkdir()
    conf.write_text("REAPER_CONTAINERD_MERGE=no\n")
    before = file_state(node.path(CONFIG)), main_pid(node)
    dnf(node, "install", RPM)
    assert (file_state(node.path(CONFIG)), main_pid(node)) == before
    # %config(noreplace)
    assert conf.read_text() == "REAPER_CONTAINERD_MERGE=no\n"
    assert node.path("/etc/reaper/reaper.conf.rpmnew").exists()


def test_a_refused_merge_leaves_the_package_installed(node):
    config = node.path(CONFIG)
    config.write_text(config.read_text() + "[unfinished\n")
    before = file_state(config)
    said = dnf(node, "install", RPM)
    assert "E_SYNTAX" in said
    assert "reaperctl containerd apply" in said
    assert is_installed(node)
    assert file_state(config) == before


def test_it_has_the_programs_of_the_deb(tmp_path):
    for kind, unpack in (("deb", "dpkg-deb -x {} {}"), ("rpm", "rpm2cpio {} | cpio -idm --quiet -D {}")):
        (tmp_path / kind).mkdir()
        subprocess.run(unpack.format(package(kind), tmp_path / kind), shell=True, check=True)
    for program in sorted((tmp_path / "deb/usr/bin").iterdir()):
        assert program.read_bytes() == (tmp_path / "rpm/usr/bin" / program.name).read_bytes()


def test_the_package_is_clean():
    result = subprocess.run(
        ["rpmlint", "--config", SOURCE / "packaging/rpm/rpmlint.toml", package("rpm"), SOURCE / "packaging/rpm/reaper.spec"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 errors, 0 warnings" in result.stdout, result.stdout
