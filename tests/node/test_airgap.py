"""The air-gap tar of ci/make-airgap.sh: a site without network installs from it, and from nothing else."""

import json
import os
import pathlib
import shutil
import tarfile

import pytest

from installed import CONFIG, assert_serves, file_state
from machine import SOURCE, run

pytestmark = pytest.mark.full("cross-builds the packages and fetches Ansible; two minutes")

TREE = "/root/reaper"


@pytest.fixture(scope="module")
def tar(tmp_path_factory):
    path = tmp_path_factory.mktemp("airgap") / "reaper-airgap.tar"
    run([SOURCE / "ci/make-airgap.sh", "--out", path], timeout=1800)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path


@pytest.fixture(scope="module")
def tree(tar):
    """The tar as a site unpacks it."""
    with tarfile.open(tar) as archive:
        archive.extractall(tar.parent / "site")
    (top,) = (tar.parent / "site").iterdir()
    return top


def cut_off(node):
    """From now on the node reaches nobody but through the engine that runs it."""
    node.run("ip", "link", "delete", "eth0")
    assert node.run("ip", "route").stdout == ""
    return node


@pytest.fixture
def site(tmp_path):
    """A control machine without network and without Ansible: a call of it returns the report."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/usr/bin", "/usr/sbin"):
        for program in os.listdir(directory):
            if not program.startswith("ansible") and not (programs / program).exists():
                (programs / program).symlink_to(f"{directory}/{program}")
    environment = {"PATH": str(programs), "HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}

    def call(script, *arguments, ansible=None):
        """`ansible`: the directory of one that is there already."""
        reports = tmp_path / "reports"
        path = f"{ansible}:{programs}" if ansible else str(programs)
        done = run(["unshare", "--net", script, "--report", reports, *arguments], timeout=3600, cwd="/", env=environment | {"PATH": path})
        newest = max(reports.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return {node["node"]: node for node in json.loads(newest.read_text())["nodes"]}, done

    return call


def test_everything_is_in_it(tree, tmp_path):
    run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tree)
    listed = {line.split("  ", 1)[1] for line in (tree / "SHA256SUMS").read_text().splitlines()}
    assert listed == {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tree / "dist")
    for pattern in ("reaper_*_amd64.deb", "reaper_*_arm64.deb", "reaper-*.x86_64.rpm", "reaper-*.aarch64.rpm",
                    "reaper-*-amd64.spdx.json", "reaper-*-arm64.spdx.json"):  # fmt: skip
        assert len(list((tree / "dist").glob(pattern))) == 1, pattern
    for path in ("scripts/install-reaper.sh", "ci/make-repo.sh", "kubernetes/runtimeclass.yaml", "docs/INSTALL.md", "LICENSE"):
        assert (tree / path).read_bytes() == (SOURCE / path).read_bytes()
    # the collection, as galaxy takes it where there is no galaxy
    (collection,) = (tree / "collection").iterdir()
    galaxy = pathlib.Path(run([SOURCE / "ci/python-env.sh"]).stdout.strip(), "ansible-galaxy")
    run(["unshare", "--net", galaxy, "collection", "install", "--offline", collection, "-p", tmp_path])
    assert (tmp_path / "ansible_collections/reaper/node/roles/install").is_dir()


def test_the_same_checkout_gives_the_same_bytes(tmp_path):
    made = []
    for name in ("one.tar", "two.tar"):
        run([SOURCE / "ci/make-airgap.sh", "--no-wheels", "--out", tmp_path / name], timeout=1800)
        with tarfile.open(tmp_path / name) as archive:
            made.append({member.name: (member.mode, member.mtime, member.uid, archive.extractfile(member).read())
                         for member in archive if member.isfile() and "/collection/" not in member.name})  # fmt: skip
    sums = [name for name in made[0] if name.count("/") == 1 and name.endswith("SHA256SUMS")]
    assert {name for name in made[0] if made[0][name] != made[1].get(name)} <= set(sums)
    assert made[0].keys() == made[1].keys() and not any("/wheels/" in name for name in made[0])


def test_one_command_for_a_site(stock, tar, tree, site, tmp_path):
    """The command of docs/INSTALL.md, for a Debian and an rpm node; Ansible is the one of the tar."""
    nodes = [cut_off(stock("bookworm")), cut_off(stock("rpm"))]
    inventory = tmp_path / "inventory.ini"
    inventory.write_text("[k8s_nodes]\n" + "".join(f"{node.name}\n" for node in nodes) +
                         "[k8s_nodes:vars]\nansible_connection=community.docker.docker\nansible_user=root\n")  # fmt: skip
    before = [file_state(node.path(CONFIG)) for node in nodes]
    reported, said = site(tree / "scripts/install-reaper.sh", "--inventory", inventory)
    assert "putting a pinned one into" in said.stderr
    assert {node.name: "ok" for node in nodes} == {name: each["state"] for name, each in reported.items()}
    for node in nodes:
        assert_serves(node)
    assert set(os.listdir(tmp_path / "home/.cache/reaper")) >= {"ansible-" + said.stderr.split("/ansible-")[1].split()[0]}
    # the tar itself is a package: the one that is there already, so nothing happens
    files = [file_state(node.path(CONFIG)) for node in nodes]
    again, _ = site(tree / "scripts/install-reaper.sh", "--inventory", inventory, "--package", tar)
    assert {(each["state"], each["restarted"]) for each in again.values()} == {("unchanged", False)}
    assert [file_state(node.path(CONFIG)) for node in nodes] == files
    site(tree / "scripts/install-reaper.sh", "--inventory", inventory, "--uninstall")
    assert [file_state(node.path(CONFIG)) for node in nodes] == before


def test_a_damaged_package_of_the_tar_is_not_installed(stock, tree, tmp_path, site):
    node = cut_off(stock("bookworm"))
    broken = tmp_path / "broken"
    shutil.copytree(tree, broken, symlinks=True)
    (deb,) = (broken / "dist").glob("reaper_*_amd64.deb")
    # the last member, so that its name and version can still be read
    deb.write_bytes(deb.read_bytes()[:-1] + b"?")
    ansible = run([SOURCE / "ci/python-env.sh"]).stdout.strip()
    with pytest.raises(AssertionError, match="is damaged: its checksum is not the one of"):
        site(broken / "scripts/install-reaper.sh", "--kind", node.cluster, ansible=ansible)
    assert not node.path("/usr/bin/reaperctl").exists()


@pytest.mark.parametrize("suite, command", [("trixie", ["apt-get", "-q", "-y", "install"]), ("rpm", ["dnf", "-y", "--disablerepo=*", "install"])])
def test_one_node_by_hand(stock, tree, suite, command):
    """The package manager of the node is enough."""
    node = cut_off(stock(suite))
    shutil.copytree(tree / "dist", node.path(TREE))
    node.run("sh", "-c", f"cd {TREE} && sha256sum --check --strict --quiet SHA256SUMS")
    (name,) = [path.name for path in (tree / "dist").iterdir() if path.suffix == (".rpm" if suite == "rpm" else ".deb")
               and ("amd64" in path.name or "x86_64" in path.name)]  # fmt: skip
    node.run(*command, f"{TREE}/{name}", timeout=300)
    assert_serves(node)
