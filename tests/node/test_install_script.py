"""scripts/install-reaper.sh: what it says before, what it says afterwards, and what it takes a package from."""

import json
import os
import shutil
import sys
import tarfile

import pytest

from fleet import differences, files
from installed import CONFIG, add_pod_network, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, run
from pods import Pods

pytestmark = pytest.mark.submission("a dry run that is not what the run does is worse than none; half a minute")


def call(node, report, *arguments, check=True):
    """The report of one call: {node name: what became of it}, and the call's result."""
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", node.cluster, "--report", report, *arguments]
    result = run(command, check=check, timeout=300, cwd="/")
    made = sorted(report.glob("*.json"), key=lambda path: path.stat().st_mtime)
    assert len(list(report.glob("*.html"))) == len(made)
    return (json.loads(made[-1].read_text())["nodes"] if made else []), result


def census(node):
    """Every file (of /usr without its bytes), the units, and containerd's process."""
    root = str(node.path("/")).rstrip("/")
    usr = {}
    for directory, _, names in os.walk(root + "/usr"):
        for name in names:
            status = os.lstat(f"{directory}/{name}")
            usr[f"{directory}/{name}"] = status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns
    units = node.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service,timer,socket").stdout
    return {**files(node, "/etc", "/var"), **usr, "units": sorted(line.split(None, 1)[0] for line in units.splitlines()),
            "pid": node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout}  # fmt: skip


WHAT = ("before", "after", "strategy", "restarted", "pods_kept")


def test_a_dry_run_predicts_and_the_report_tells(stock, tmp_path):
    node = stock("bookworm")
    before = file_state(node.path(CONFIG))
    for arguments in (["--package", package()], ["--package", SOURCE / "dist", "--upgrade"], ["--rollback"], ["--uninstall"]):
        counted = census(node)
        (dry,), said = call(node, tmp_path, *arguments, "--dry-run")
        restarts = "yes" if dry["restarted"] else "no"
        assert f", containerd restarts: {restarts}, pods kept: {dry['pods_kept']}, " in said.stdout, arguments
        assert differences(counted, census(node)) == [], arguments
        state = file_state(node.path(CONFIG))
        (done,), result = call(node, tmp_path, *arguments)
        # of the four only this one takes the runtime out: the last one finds none
        taken_out = arguments == ["--rollback"]
        assert ("config.toml is what it was without Reaper: sha256 " in result.stdout) == taken_out == bool(done["config_restored"]), arguments
        assert {key: dry[key] for key in WHAT} == {key: done[key] for key in WHAT}, arguments
        assert dry["state"] == done["state"], arguments
        assert (file_state(node.path(CONFIG)) != state) == (done["config_sha256_before"] != done["config_sha256_after"]), arguments
        if arguments[0] == "--package" and len(arguments) == 2:
            assert "+[plugins." in said.stdout and done["state"] == "ok"
            assert_serves(node)
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    assert not node.path("/run/reaper-job").exists()


@pytest.mark.full("a node, and two censuses of it; half a minute")
def test_a_dry_run_that_fails_leaves_nothing(stock, tmp_path):
    """A configuration that cannot be read: the plan fails where the run would, and reaperctl goes with it."""
    node = stock("trixie")
    config = node.path(CONFIG)
    config.write_text(config.read_text() + "[unfinished\n")
    counted = census(node)
    (dry,), said = call(node, tmp_path, "--package", package(), "--dry-run", check=False)
    assert said.returncode != 0 and dry["state"] == "failed"
    last = said.stderr.splitlines()[-1]
    assert last.startswith(f"install-reaper: error: {node.name}: ") and CONFIG in last and "nothing was changed" in last, last
    assert differences(counted, census(node)) == []
    assert not list(node.path("/run").glob("reaper-*"))


def test_a_package_with_a_wrong_checksum_is_not_installed(stock, tmp_path):
    node = stock("bookworm")
    dist = tmp_path / "dist"
    dist.mkdir()
    shutil.copy(package(), dist)
    sums = dist / "SHA256SUMS"
    for text, words in ((None, "no SHA256SUMS"), ("", "is not in"), (f"{'0' * 64}  {package().name}\n", "its checksum is not the one")):
        if text is not None:
            sums.write_text(text)
        _, result = call(node, tmp_path, "--package", dist, check=False)
        assert result.returncode != 0 and words in result.stderr, result.stderr
    assert not node.path("/usr/bin/reaperctl").exists()


@pytest.mark.full("a tree of this checkout as a tar; half a minute")
def test_the_airgap_tar_is_a_package(stock, tmp_path):
    """As ci/make-airgap.sh lays it out: dist/ below a directory, with its list."""
    node = stock("trixie")
    tar = tmp_path / "reaper-airgap.tar"
    with tarfile.open(tar, "w") as archive:
        for name in (package().name, package("rpm").name, "SHA256SUMS"):
            archive.add(SOURCE / "dist" / name, f"reaper-0.1.0/dist/{name}")
    (done,), result = call(node, tmp_path, "--package", tar)
    assert done["state"] == "ok" and f"package {tar}" in result.stderr
    assert_serves(node)
    call(node, tmp_path, "--uninstall")
    broken = tmp_path / "broken.tar"
    broken.write_bytes(tar.read_bytes()[:100000])
    (done,), result = call(node, tmp_path, "--package", broken, check=False)
    assert result.returncode != 0 and "broken.tar" in result.stderr.splitlines()[-1]
    assert not node.path("/usr/bin/reaperctl").exists()


@pytest.mark.full("a pod on a node of its own; half a minute")
def test_a_rollback_names_the_pods_that_are_in_its_way(stock, tmp_path):
    node = stock("bookworm")
    add_pod_network(node)
    call(node, tmp_path, "--package", package())
    state = file_state(node.path(CONFIG))
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sleep", "1000")
        name = "{namespace}/{name}".format(**pod.config["metadata"])
        for arguments in (["--rollback", "--dry-run"], ["--rollback"], ["--uninstall"]):
            (done,), result = call(node, tmp_path, *arguments, check=False)
            assert result.returncode != 0 and name in result.stderr.splitlines()[-1], result.stderr
            assert done["state"] == "failed" and file_state(node.path(CONFIG)) == state
        assert pod.state(container) == "CONTAINER_RUNNING"
    finally:
        pods.close()
    call(node, tmp_path, "--rollback")
    assert_does_not_serve(node)


POLICIES = {
    "reaper-v2 restricted": "RuntimeClass reaper-v2 is there, restricted: ",
    "reaper-v2 production": "RuntimeClass reaper-v2 is there, production: ",
    "reaper-v2 ": "RuntimeClass reaper-v2 is there, open: ",
    "": "RuntimeClass reaper-v2 is not there; next: kubectl --context ours apply -f kubernetes/runtimeclass.yaml",
}


@pytest.mark.parametrize("policy", POLICIES, ids=["restricted", "production", "open", "none"])
def test_the_last_line_tells_the_policy(tmp_path, policy):
    """The cluster and the nodes are made up: what is tried is what is asked, and what is said of the answer."""
    bin = tmp_path / "bin"
    bin.mkdir()
    real = os.path.dirname(sys.executable)
    programs = {
        "ansible-playbook": f'[ "$1" != --version ] || exec {real}/ansible-playbook --version',
        "kubectl": f"""case "$*" in
'config get-contexts ours') ;;
*' get nodes '*) echo 'n1 10.0.0.1' ;;
*' get runtimeclass reaper-v2 '*) printf '%s' '{policy}' ;;
*) exit 1 ;;
esac""",
    }
    for name, text in programs.items():
        (bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin / name).chmod(0o755)
    inventory = tmp_path / "inventory.ini"
    inventory.write_text("[k8s_nodes]\nn1\n")
    command = [SOURCE / "scripts/install-reaper.sh", "--inventory", inventory, "--context", "ours", "--verify", "--report", tmp_path]
    said = run(command, cwd="/", env={**os.environ, "PATH": f"{bin}:{real}:{os.environ['PATH']}"})
    assert said.stderr.splitlines()[-1].startswith("install-reaper: " + POLICIES[policy])


@pytest.mark.full("a compiler and its libraries put into a container, and a build; five minutes")
def test_a_package_is_built_in_a_container(stock, tmp_path):
    """As in a checkout that somebody has just made: no dist/. The image is a setting, for there is no registry here."""
    node = stock("bookworm")
    image = run([SOURCE / "ci/node-image.sh", "bookworm"], timeout=900).stdout.strip()
    checkout = tmp_path / "checkout"
    run(["git", "clone", "--quiet", SOURCE, checkout], timeout=120)
    commit = run(["git", "-C", checkout, "log", "-1", "--format=%h", "--abbrev=10", "--", "src", "packaging"]).stdout.strip()
    command = [checkout / "scripts/install-reaper.sh", "--kind", node.cluster, "--report", tmp_path]
    result = run(command, timeout=1800, cwd="/", env={**os.environ, "REAPER_BUILD_IMAGE": image})
    assert f"building one for amd64 in a container of {image}" in result.stderr
    (built,) = (checkout / "dist").glob("reaper_*_amd64.deb")
    assert f"package {built}\n" in result.stderr
    # of these sources, and older than the release that comes of them
    assert run(["dpkg-deb", "-f", built, "Version"]).stdout.startswith("0.1.0~2") and commit
    assert_serves(node)
    # those of nodes have an init
    left = run(["docker", "ps", "--all", "--filter", f"ancestor={image}", "--format", "{{.Command}}"]).stdout
    assert "/bin/sh" not in left, left
    # the next call has it
    again = run(command, timeout=600, cwd="/")
    assert "building" not in again.stderr and "1 node: 1 unchanged" in again.stdout


ENGINE = """#!/bin/sh
# an engine with one node of kind, and without a registry
echo "$*" >>"$0.calls"
case $1 in
info) ;;
ps) case "$*" in *role=control-plane*) echo n1 running ;; esac ;;
version) echo arm64 ;;
image) %(image)s ;;
pull) echo "Error response from daemon: registry: no such host" >&2; exit 1 ;;
create) echo box ;;
start) echo "cc: error: no such file"; exit 2 ;;
cp | rm) ;;
*) exit 9 ;;
esac
"""


@pytest.mark.parametrize(("image", "words"), [
    ("exit 1", "(docker has no image debian:bookworm: Error response from daemon: registry: no such host)"),
    ("exit 0", "(the build in a container failed)"),
], ids=["no_image", "build"])  # fmt: skip
def test_a_package_that_cannot_be_built(tmp_path, image, words):
    """For another machine's architecture, so that this one cannot do it instead; nothing is left of the container."""
    for name in ("scripts", "ansible", "ci"):
        (tmp_path / "checkout").mkdir(exist_ok=True)
        shutil.copytree(SOURCE / name, tmp_path / "checkout" / name, symlinks=True)
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(ENGINE % {"image": image})
    docker.chmod(0o755)
    command = [tmp_path / "checkout/scripts/install-reaper.sh", "--kind", "any", "--report", tmp_path / "report"]
    result = run(command, check=False, cwd="/", env={**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)})
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("install-reaper: error: no package: give one with --package, or make one with ci/build-packages.sh") and last.endswith(words)
    calls = docker.with_name("docker.calls").read_text().splitlines()
    if image == "exit 0":
        assert "cc: error: no such file" in result.stderr and calls[-1] == "rm --force --volumes box"
        assert [call for call in calls if call.startswith("create --platform linux/arm64 ")]
    assert not (tmp_path / "report").exists() and not list(tmp_path.glob("install-reaper.*"))
