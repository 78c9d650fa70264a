"""The playbooks and the scripts around them, on nodes that look like kind's."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from installed import (
    CONFIG, GREETING, add_pod_network, assert_does_not_serve, assert_serves, file_state, package, run_example,
)  # fmt: skip
from machine import HANDLER, SOURCE, run
from pods import Pods

pytestmark = pytest.mark.submission("the way clusters get Reaper; ten to thirty seconds each")


def script(name, *arguments, check=True):
    return run([SOURCE / "scripts" / name, *arguments], check=check, timeout=600, cwd="/")


def install(node, *arguments, check=True):
    return script("install-reaper.sh", "--kind", node.cluster, "--package", package(), *arguments, check=check)


def recap(result):
    """Of each host: {'ok': n, 'changed': n, 'failed': n, …}."""
    return [
        {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}
        for line in result.stdout.splitlines()
        if re.search(r"\bok=\d+ +changed=\d+", line)
    ]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_install_twice_verify_and_roll_back(stock, suite):
    node = stock(suite)
    add_pod_network(node)
    assert node.run("sh", "-c", "command -v python3 sudo", check=False).stdout == "", "a node of kind has neither"
    if suite == "bookworm":
        # as in images that were made for containers: no package starts or restarts a service
        node.path("/usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        node.run("chmod", "0755", "/usr/sbin/policy-rc.d")
    before = file_state(node.path(CONFIG))
    dry = install(node, "--dry-run")
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    assert HANDLER in dry.stdout, "a dry run shows the difference"
    first = install(node)
    assert recap(first)[0]["changed"] > 0
    assert_serves(node)
    second = install(node)
    assert [r["changed"] for r in recap(second)] == [0]
    verified = script("install-reaper.sh", "--kind", node.cluster, "--verify")
    assert [(r["changed"], r["failed"]) for r in recap(verified)] == [(0, 0)]
    pods = Pods(node)
    try:
        run_example(pods)
    finally:
        pods.close()
    script("install-reaper.sh", "--kind", node.cluster, "--rollback")
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    again = script("install-reaper.sh", "--kind", node.cluster, "--rollback")
    assert [r["changed"] for r in recap(again)] == [0]
    failed = script("install-reaper.sh", "--kind", node.cluster, "--verify", check=False)
    assert failed.returncode != 0


@pytest.mark.full("the same roles on the other half of all nodes; a minute")
def test_an_rpm_node(stock):
    node = stock("rpm")
    before = file_state(node.path(CONFIG))
    what = ["install-reaper.sh", "--kind", node.cluster, "--package", package("rpm")]
    dry = script(*what, "--dry-run")
    assert HANDLER in dry.stdout and file_state(node.path(CONFIG)) == before
    assert recap(script(*what))[0]["changed"] > 0
    assert_serves(node)
    assert [r["changed"] for r in recap(script(*what))] == [0]
    assert [r["failed"] for r in recap(script("install-reaper.sh", "--kind", node.cluster, "--verify"))] == [0]
    wrong = script("install-reaper.sh", "--kind", node.cluster, "--package", package(), check=False)
    assert wrong.returncode != 0 and "and this node takes .rpm" in wrong.stderr.splitlines()[-1]
    script("install-reaper.sh", "--kind", node.cluster, "--rollback")
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    assert node.run("rpm", "-q", "reaper", check=False).returncode != 0


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """This checkout's packages as signed repositories; test_repositories.py tries these by themselves."""
    top = tmp_path_factory.mktemp("published")
    (top / "key").mkdir(mode=0o700)
    (top / "packages").mkdir()
    for kind in ("deb", "rpm"):
        shutil.copy(package(kind), top / "packages")
    run(["gpg", "--homedir", top / "key", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key",
         "Tests <tests@reaper.invalid>", "rsa3072", "sign", "never"])  # fmt: skip
    try:
        run([SOURCE / "ci/make-repo.sh", "--packages", top / "packages", "--out", top / "out", "--key", "tests@reaper.invalid",
             "--gnupg-home", top / "key", "--url", "file:///srv/repository"], timeout=300)  # fmt: skip
    finally:
        run(["gpgconf", "--homedir", top / "key", "--kill", "all"])
    return top / "out"


@pytest.mark.full("a signed repository and its own installation on each kind of node; a minute")
@pytest.mark.parametrize("suite", ["bookworm", "rpm"])
def test_from_a_repository(stock, published, tmp_path, suite):
    node = stock(suite)
    before = file_state(node.path(CONFIG))
    shutil.copytree(published, node.path("/srv/repository"))
    node.run("chmod", "-R", "a+rX", "/srv/repository")
    if suite == "rpm":
        # a distribution would say it
        node.path("/etc/dnf/vars").mkdir(parents=True, exist_ok=True)
        node.path("/etc/dnf/vars/releasever").write_text("1\n")
    inventory = tmp_path / "inventory.ini"
    inventory.write_text(f"[k8s_nodes]\n{node.name} ansible_connection=community.docker.docker ansible_user=root\n")

    def play(name, key=published / "reaper.asc", check=True):
        source = json.dumps({"reaper_repository": {"url": "file:///srv/repository", "key": str(key)}})
        return run([f"{os.path.dirname(sys.executable)}/ansible-playbook", "-i", inventory, "-e", source,
                    SOURCE / f"ansible/{name}-reaper.yml"], check=check, timeout=300, cwd="/")  # fmt: skip

    without = play("install", tmp_path / "none.asc", check=False)
    assert without.returncode != 0 and "a repository without one is not used" in without.stdout
    assert recap(play("install"))[0]["changed"] > 0
    assert_serves(node)
    assert recap(play("install"))[0]["changed"] == 0
    play("uninstall")
    assert file_state(node.path(CONFIG)) == before
    for left in ("/etc/apt/sources.list.d/reaper.sources", "/etc/apt/keyrings/reaper.asc", "/etc/yum.repos.d/reaper.repo"):
        assert not node.path(left).exists()


def test_verify_names_the_check_that_failed(stock):
    node = stock("bookworm")
    install(node)
    node.path("/etc/reaper/reaper.conf").write_text("REAPER_OVERLAY_ISOLATION=planet\n")
    failed = script("install-reaper.sh", "--kind", node.cluster, "--verify", check=False)
    assert failed.returncode != 0
    assert "settings: " in failed.stderr + failed.stdout and "correct the named setting" in failed.stderr + failed.stdout


def test_a_node_without_containerd_is_named(stock):
    node = stock("bookworm")
    node.run("dpkg", "--purge", "containerd", timeout=120)
    result = install(node, check=False)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("install-reaper: error:")]
    assert any(node.name in line and "containerd" in line for line in errors), result.stderr
    assert node.run("sh", "-c", "command -v reaperctl", check=False).returncode != 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "no-such-cluster"], ["no-such-cluster"]),
        (["--inventory", "/no/such/inventory.ini"], ["/no/such/inventory.ini"]),
        (["--inventory", "{bad}"], ["{bad}"]),
        (["--inventory", "{other}"], ["k8s_nodes"]),
        (["--dance"], ["--dance"]),
        ([], ["--kind", "--inventory"]),
        (["--kind", "a", "--inventory", "b"], ["--kind", "--inventory"]),
        (["--kind"], ["--kind"]),
        (["--kind", "a", "--package", "/no/such.deb"], ["/no/such.deb"]),
        (["--kind", "a", "--verify", "--rollback"], ["--verify and --rollback exclude each other"]),
        (["--kind", "a", "--drain", "--no-drain"], ["--drain and --no-drain exclude each other"]),
        (["--kind", "a", "--serial", "1", "--parallel", "2"], ["--serial and --parallel exclude each other"]),
        (["--kind", "a", "--serial", "1,five"], ["--serial", '"five"']),
        (["--kind", "a", "--parallel", "0"], ["--parallel", '"0"']),
        (["--kind", "a", "--rollback", "--package", "dist"], ["--package does not go with --rollback"]),
        (["--inventory", "{empty}"], ["{empty} has no host in the group k8s_nodes (groups: none)"]),
        (["--inventory", "{good}", "--limit", "node2"], ["--limit node2 matches no host of k8s_nodes (node1)"]),
    ],
    ids=["no_cluster", "no_inventory", "bad_inventory", "no_group", "unknown", "nothing", "both", "no_value", "no_package",
         "two_plays", "drain", "batches", "serial", "parallel", "package", "empty_inventory", "no_match"],
)
def test_wrong_calls_are_refused_with_one_line(tmp_path, arguments, words):
    places = {"{bad}": tmp_path / "bad.ini", "{other}": tmp_path / "other.ini", "{empty}": tmp_path / "empty.ini",
              "{good}": tmp_path / "good.ini"}  # fmt: skip
    places["{bad}"].write_text("[k8s_nodes\nnode1\n")
    places["{other}"].write_text("[webservers]\nnode1\n")
    places["{empty}"].write_text("")
    places["{good}"].write_text("[k8s_nodes]\nnode1\n")

    def fill(text):
        for name, place in places.items():
            text = text.replace(name, str(place))
        return text

    result = script("install-reaper.sh", *map(fill, arguments), check=False)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if "making the Python environment" not in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("install-reaper: error:")
    for word in words:
        assert fill(word) in lines[0]


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_configure_containerd_and_undo(stock, suite):
    """The thin way, which also covers the configuration of containerd 2.1."""
    node = stock(suite)
    add_pod_network(node)
    before = file_state(node.path(CONFIG))
    script("configure-containerd.sh", "kind", node.name)
    after = file_state(node.path(CONFIG))
    assert after != before
    assert_serves(node)
    script("configure-containerd.sh", "kind", node.name)
    assert file_state(node.path(CONFIG)) == after, "a second run changes nothing"
    pods = Pods(node)
    try:
        run_example(pods)
    finally:
        pods.close()
    node.run("reaperctl", "containerd", "undo", timeout=120)
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)


def test_configure_containerd_of_an_unknown_node():
    result = script("configure-containerd.sh", "kind", "no-such-node", check=False)
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1
    assert "no-such-node" in result.stderr


def test_try_reaper_twice_and_delete():
    node = "reaper-try-control-plane"
    if run(["docker", "inspect", node], check=False).returncode == 0:
        pytest.skip("somebody is trying Reaper on this machine")
    try:
        for _ in range(2):
            result = script("try-reaper.sh", "--yes")
            assert GREETING in result.stdout
            for hint in ("pod exec", "/etc/was-here", "--rollback", "--delete"):
                assert hint in result.stdout
        # what it says to try next
        write = ("pod", "exec", "reaper-shell", "--", "sh", "-c", "echo x > /etc/was-here; cat /etc/was-here")
        assert script("try-reaper.sh", *write).stdout == "x\n"
        assert script("try-reaper.sh", "node", "ls", "/etc/was-here", check=False).returncode != 0
        script("try-reaper.sh", "pod", "rmp", "reaper-shell")
        assert "1 node: 1 done" in script("try-reaper.sh", "--rollback").stdout
        assert script("try-reaper.sh", "node", "reaperctl", check=False).returncode != 0
    finally:
        deleted = script("try-reaper.sh", "--delete", check=False)
    assert deleted.returncode == 0
    assert run(["docker", "inspect", node], check=False).returncode != 0


def test_try_reaper_asks_before_it_installs():
    """Without --yes and without a terminal nothing is installed; with everything there it goes on."""
    result = subprocess.run(
        [SOURCE / "scripts" / "try-reaper.sh", "--dance"], capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode != 0
    assert "--dance" in result.stderr
