"""What the package's scripts do where things are not as they should be."""

import hashlib
import os
import pathlib
import re

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import run
from pods import Pods

pytestmark = pytest.mark.submission("dpkg calls these scripts at the worst moments; five seconds each")

DEB = "/root/reaper.deb"
NODE_NETWORK = {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}


@pytest.fixture
def node(stock):
    """A stock node with the package at hand."""
    node = stock("bookworm")
    node.path(DEB).write_bytes(package().read_bytes())
    return node


def install(node, *environment, keep_settings=False):
    """Returns what apt said, which has what the scripts said in it."""
    options = ["-o", "Dpkg::Options::=--force-confold"] if keep_settings else []
    result = node.run("env", *environment, "apt-get", "-q", "-y", *options, "install", DEB, timeout=300)
    return result.stdout + result.stderr


def main_pid(node):
    return node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout


def again(node):
    """What ours says in an installation over the same version."""
    said = node.run("dpkg", "--install", DEB, timeout=120)
    return "\n".join(line for line in (said.stdout + said.stderr).splitlines() if line.startswith("reaper"))


def status(node):
    return node.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "reaper").stdout


@pytest.mark.parametrize("where", ["environment", "file"])
def test_the_merge_can_be_switched_off(node, where):
    before = file_state(node.path(CONFIG)), main_pid(node)
    if where == "environment":
        install(node, "REAPER_CONTAINERD_MERGE=no")
    else:
        conf = node.path("/etc/reaper/reaper.conf")
        conf.parent.mkdir()
        conf.write_text('# ours\nREAPER_CONTAINERD_MERGE="no"\n')
        install(node, keep_settings=True)
    assert (file_state(node.path(CONFIG)), main_pid(node)) == before
    assert status(node) == "installed"


def test_a_refused_merge_leaves_the_package_installed(node):
    config = node.path(CONFIG)
    config.write_text(config.read_text() + "[unfinished\n")
    before = file_state(config)
    said = install(node)
    assert "E_SYNTAX" in said
    assert "reaperctl containerd apply" in said
    assert status(node) == "installed"
    assert file_state(config) == before
    explained = node.run("reaperctl", "doctor", check=False)
    assert explained.returncode != 0 and "FAILED   config-readable" in explained.stdout


def test_dockers_own_configuration_is_left_alone(node):
    """Docker's package of containerd has the CRI plugin switched off: a node of docker, not of a cluster."""
    node.path(CONFIG).write_text('disabled_plugins = ["cri"]\n')
    node.run("systemctl", "restart", "containerd")
    before = file_state(node.path(CONFIG)), main_pid(node)
    said = install(node)
    assert "E_CRI_DISABLED" in said
    assert (file_state(node.path(CONFIG)), main_pid(node)) == before
    assert status(node) == "installed"


def test_a_masked_containerd_is_not_started(node):
    before = file_state(node.path(CONFIG))
    node.stop_containerd()
    node.run("systemctl", "mask", "containerd")
    install(node)
    assert node.run("systemctl", "is-active", "containerd", check=False).stdout == "inactive\n"
    node.run("systemctl", "unmask", "containerd")
    node.start_containerd()
    node.run("systemctl", "start", "reaper-boot")
    assert_serves(node)
    node.run("apt-get", "-q", "-y", "purge", "reaper")
    assert file_state(node.path(CONFIG)) == before


def test_an_upgrade_that_changes_the_block_says_so(node):
    """What an older version wrote is replaced and containerd restarted; else neither happens."""
    install(node)
    config, pid = node.path(CONFIG), main_pid(node)
    text = config.read_text()
    assert again(node) == "" and main_pid(node) == pid
    older = text.replace('pod_annotations = ["reaper.runtime/*"]\n', "", 1)
    body = re.search(r"#>> [^\n]*\n(.*)#<<", older, re.S)[1]
    config.write_text(re.sub(r"sha256=\w+", f"sha256={hashlib.sha256(body.encode()).hexdigest()}", older))
    node.restart_containerd()
    pid = main_pid(node)
    assert '"reaper-v2" was updated' in again(node)
    assert main_pid(node) != pid and config.read_text() == text


def test_nothing_is_restarted_where_services_may_not_be(node):
    pid = main_pid(node)
    policy = node.path("/usr/sbin/policy-rc.d")
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    install(node)
    assert main_pid(node) == pid
    assert "reaper-v2" in node.path(CONFIG).read_text()


def test_containerd_that_is_down_stays_down_and_is_seen_to_at_boot(node):
    before = file_state(node.path(CONFIG))
    node.stop_containerd()
    install(node)
    assert node.run("systemctl", "is-active", "containerd", check=False).stdout == "inactive\n"
    node.start_containerd()
    assert node.run("systemctl", "is-enabled", "reaper-boot").stdout == "enabled\n"
    node.run("systemctl", "start", "reaper-boot")
    assert_serves(node)
    # what is wrong at a boot is named by the row of the table, and its class is the unit's status
    text = node.path(CONFIG).read_text()
    node.path(CONFIG).write_text(text + "[broken\n")
    assert node.run("systemctl", "start", "reaper-boot", check=False).returncode != 0
    assert node.run("systemctl", "show", "--property=ExecMainStatus", "reaper-boot").stdout == "ExecMainStatus=13\n"
    assert "FAILED   config-readable" in node.run("journalctl", "--unit", "reaper-boot", "--output", "cat").stdout
    node.path(CONFIG).write_text(text)
    node.run("systemctl", "start", "reaper-boot")
    node.run("apt-get", "-q", "-y", "remove", "reaper")
    assert file_state(node.path(CONFIG)) == before


def test_containerd_goes_first(node):
    """The trigger of its removal makes no configuration anew, and the package goes without it."""
    install(node)
    node.run("dpkg", "--purge", "containerd", timeout=120)
    assert not node.path(CONFIG).exists()
    assert node.run("dpkg", "--audit").stdout == ""
    node.run("apt-get", "-q", "-y", "purge", "reaper")
    assert not node.path("/var/lib/reaper").exists()
    assert not node.path("/etc/containerd").exists()


def rival(node, name, *fields, preinst="exit 0"):
    """A package of somebody else, installed over ours."""
    node.run("sh", "-ec", f"""mkdir -p /root/{name}/DEBIAN
        printf '%s\\n' 'Package: {name}' 'Version: 1' 'Architecture: all' 'Maintainer: x <x@reaper.invalid>' \
            'Description: x' {' '.join(f"'{field}'" for field in fields)} >/root/{name}/DEBIAN/control
        printf '#!/bin/sh\\n{preinst}\\n' >/root/{name}/DEBIAN/preinst && chmod 755 /root/{name}/DEBIAN/preinst
        dpkg-deb -b /root/{name} /root/{name}.deb""")
    return node.run("dpkg", "--auto-deconfigure", "--install", f"/root/{name}.deb", check=False, timeout=120)


def test_another_package_takes_our_place(node):
    """dpkg's calls with in-favour: the removal, its abort, and being deconfigured and configured again."""
    before = file_state(node.path(CONFIG))
    install(node)
    ours = file_state(node.path(CONFIG))
    failed = rival(node, "fails", "Conflicts: reaper", "Replaces: reaper", preinst="exit 1")
    assert failed.returncode != 0
    assert (status(node), file_state(node.path(CONFIG))) == ("installed", ours)
    assert_serves(node)
    # dpkg ends with 1, for it would configure ours again and may not
    rival(node, "breaks", "Breaks: reaper")
    assert (status(node), file_state(node.path(CONFIG))) == ("half-configured", before)
    assert_does_not_serve(node)
    node.run("dpkg", "--purge", "breaks")
    node.run("dpkg", "--configure", "-a", timeout=120)
    assert (status(node), file_state(node.path(CONFIG))) == ("installed", ours)
    assert_serves(node)
    assert rival(node, "replaces", "Conflicts: reaper", "Replaces: reaper").returncode == 0
    assert (status(node), file_state(node.path(CONFIG))) == ("config-files", before)
    assert_does_not_serve(node)
    assert node.run("dpkg", "--audit").stdout == ""


def test_purge_takes_no_file_of_an_administrator(node):
    install(node)
    rule = node.path("/etc/reaper/policy.d/50-site")
    rule.write_text("# ours\n")
    for _ in range(2):
        node.run("dpkg", "--purge", "reaper", timeout=120)
        assert rule.read_text() == "# ours\n"
        assert not node.path("/etc/reaper/reaper.conf").exists() and not node.path("/var/lib/reaper").exists()


def test_a_pod_that_runs_apt_leaves_the_nodes_containerd_alone(node):
    """A view has the node's package database, so apt in it calls the scripts of this package too."""
    install(node)
    before = file_state(node.path(CONFIG)), main_pid(node)
    pods = Pods(node)
    try:
        for security in ({}, {"privileged": True}):
            pod = pods.sandbox(linux={"security_context": {"namespace_options": NODE_NETWORK, **security}})
            said = pod.run("/bin/sh", "-c", "reaperctl containerd undo --json; reaperctl containerd apply --json; dpkg --install /root/reaper.deb; "
                           "dpkg --remove reaper; dpkg --install /root/reaper.deb 2>&1", security=security)  # fmt: skip
            assert said[0] == 0, said
            assert said[1].count('"inside-a-view"') == 2
            assert "reaper: this is the view of a Reaper pod" in said[1]
            assert (file_state(node.path(CONFIG)), main_pid(node)) == before
    finally:
        pods.close()
    assert_serves(node)


def test_containerd_that_is_installed_with_us_is_merged_after_it(stock):
    """dpkg configures in the order of its arguments: ours, then containerd, whose conffile is not there yet."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    node = stock(release["VERSION_CODENAME"])
    node.path(DEB).write_bytes(package().read_bytes())
    kept = pathlib.Path(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci"), "debs")
    kept.mkdir(parents=True, exist_ok=True)
    run(["apt-get", "-q", "download", "containerd"], cwd=kept, timeout=120)
    newest = max(kept.glob("containerd_*.deb"), key=lambda path: path.stat().st_mtime)
    node.path("/root/containerd.deb").write_bytes(newest.read_bytes())
    node.run("dpkg", "--purge", "containerd", timeout=120)
    said = node.run("dpkg", "--install", DEB, "/root/containerd.deb", timeout=300)
    assert "reaper: containerd is being installed" in said.stderr
    assert node.run("dpkg", "--audit").stdout == ""
    node.wait_for_cri()
    assert_serves(node)
    node.run("apt-get", "-q", "-y", "remove", "reaper")
    assert node.run("dpkg", "--verify", "containerd").stdout == ""


def test_a_shim_that_shadows_the_packages_is_named(node):
    node.path("/usr/local/bin").mkdir(parents=True, exist_ok=True)
    shadow = node.path("/usr/local/bin/containerd-shim-reaper-v2")
    shadow.write_text('#!/bin/sh\nexec /usr/bin/containerd-shim-reaper-v2 "$@"\n')
    shadow.chmod(0o755)
    said = install(node)
    assert "reaper: warning: /usr/local/bin/containerd-shim-reaper-v2 comes before" in said
    for view in (["containerd", "verify"], ["doctor"]):
        assert "/usr/local/bin/containerd-shim-reaper-v2" in node.run("reaperctl", *view, check=False).stdout


@pytest.mark.parametrize(
    "call",
    [
        ["prerm", "upgrade", "9"],
        ["prerm", "failed-upgrade", "9", "8"],
        ["postrm", "upgrade", "9"],
        ["postrm", "abort-install"],
        ["postinst", "abort-upgrade", "9"],
        ["postinst", "abort-deconfigure", "in-favour", "x", "1"],
        ["postinst", "triggered", CONFIG],
        ["postinst", "triggered", f"/usr/bin/containerd {CONFIG} /usr"],
    ],
    ids=lambda call: "-".join(call[:2]),
)
def test_calls_that_must_change_nothing(checked_node, call):
    node = checked_node
    before = file_state(node.path(CONFIG)), main_pid(node)
    node.run(f"/var/lib/dpkg/info/reaper.{call[0]}", *call[1:])
    assert (file_state(node.path(CONFIG)), main_pid(node)) == before


def test_a_package_that_replaces_programs_leaves_a_time(checked_node):
    """For the next pod, which looks then for old files that are still open."""
    node = checked_node
    node.run("rm", "-rf", "/run/reaper")
    node.run("/var/lib/dpkg/info/reaper.postinst", "triggered", "/opt /usr")
    assert not node.path("/run/reaper").exists()  # no pod since the boot
    node.run("mkdir", "/run/reaper")
    node.run("/var/lib/dpkg/info/reaper.postinst", "triggered", "/opt /usr")
    assert node.path("/run/reaper/packages").exists()
    node.run("rm", "-r", "/run/reaper")


@pytest.fixture(scope="module")
def checked_node():
    """One node with the package for all calls that must change nothing."""
    from machine import Node

    node = Node("trixie", "reaper-test-scripts", install=False, prepare=False)
    node.path(DEB).write_bytes(package().read_bytes())
    install(node)
    yield node
    node.remove()


def test_an_unknown_call_is_an_error(checked_node):
    for script in ("postinst", "prerm", "postrm"):
        assert checked_node.run(f"/var/lib/dpkg/info/reaper.{script}", "dance", check=False).returncode == 1


def test_prerm_and_its_abort_are_a_round_trip(checked_node):
    node = checked_node
    before = file_state(node.path(CONFIG))
    node.run("/var/lib/dpkg/info/reaper.prerm", "remove")
    assert_does_not_serve(node)
    node.run("/var/lib/dpkg/info/reaper.postinst", "abort-remove")
    assert_serves(node)
    assert file_state(node.path(CONFIG)) == before
