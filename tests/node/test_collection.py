"""ansible/ as a collection, and the inventories that people begin with."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from machine import SOURCE, run

pytestmark = pytest.mark.submission("the other form of the same files; ten seconds, no node")

BIN = os.path.dirname(sys.executable)
INVENTORIES = [*sorted((SOURCE / "ansible/inventories").glob("*.ini")), SOURCE / "ansible/inventory.ini.example"]


def ansible(program, *arguments, check=True, **environment):
    return run([f"{BIN}/{program}", *arguments], check=check, timeout=120, cwd="/", env={**os.environ, **environment})


def test_an_installed_collection_finds_its_roles_and_plugins(tmp_path):
    ansible("ansible-galaxy", "collection", "build", SOURCE / "ansible", "--output-path", tmp_path)
    (tar,) = tmp_path.glob("reaper-node-*.tar.gz")
    ansible("ansible-galaxy", "collection", "install", tar, "-p", tmp_path / "collections")
    where = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
    inventory = tmp_path / "here.ini"
    inventory.write_text("[k8s_nodes]\nhere ansible_connection=local\n")
    for play in ("install", "verify", "upgrade", "rollback", "uninstall"):
        ansible("ansible-playbook", "-i", inventory, f"reaper.node.{play}", "--syntax-check", **where)
    for module in ("containerd", "facts", "kubectl", "package", "remnants"):
        assert f"reaper_{module}" in ansible("ansible-doc", f"reaper.node.reaper_{module}", **where).stdout
    # this machine is no node: the plugin and the role that say so are the collection's
    said = ansible("ansible-playbook", "-i", inventory, "reaper.node.verify", check=False,
                   **where, PATH="/usr/sbin:/usr/bin:/sbin:/bin")  # fmt: skip
    assert said.returncode != 0 and "reaper.node.verify : " in said.stdout
    if not shutil.which("reaperctl", path="/usr/sbin:/usr/bin"):
        assert "this node has no reaperctl" in said.stdout


AWAY = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
EARLY = 'Error from server (Forbidden): nodes "x" is forbidden: User "kubernetes-admin" cannot get resource "nodes"'
NOT_READY = "Error from server (InternalError): an error on the server has prevented the request from succeeding"
MISSING = 'Error from server (NotFound): nodes "x" not found'
READY = ""  # what /readyz is asked for after an EARLY, and then the call itself


@pytest.mark.parametrize(("answers", "said", "calls"), [
    ([AWAY, AWAY], "node/x", 3),
    ([EARLY, NOT_READY], "node/x", 3),
    ([EARLY, EARLY, AWAY], "node/x", 4),
    ([EARLY, READY], EARLY, 2),
    ([MISSING], MISSING, 1),
], ids=["away", "early", "early_and_away", "forbidden", "answers"])  # fmt: skip
def test_an_api_server_that_is_away_is_asked_again(tmp_path, answers, said, calls):
    """That of a cluster with one control plane starts anew with its containerd; what it answers is an answer.

    It serves before it has read the roles, and forbids everything until then: whether it has, /readyz says.
    """
    (tmp_path / "answers").write_text("".join(f"{line}\n" for line in answers))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"#!/bin/sh\ncd {tmp_path}\necho >>calls\n"
        'line=$(sed -n "$(wc -l <calls)p" answers)\n[ -n "$line" ] || exec echo node/x\necho "$line" >&2\nexit 1\n'
    )
    kubectl.chmod(0o755)
    arguments = json.dumps({"context": "any", "argv": ["get", "node", "x"]})
    result = ansible("ansible", "-i", "localhost,", "-c", "local", "localhost", "-m", "reaper_kubectl", "-a", arguments,
                     check=False, ANSIBLE_LIBRARY=str(SOURCE / "ansible/plugins/modules"),
                     ANSIBLE_ACTION_PLUGINS=str(SOURCE / "ansible/plugins/action"), PATH=f"{tmp_path}:{os.environ['PATH']}")  # fmt: skip
    assert json.dumps(said)[1:-1] in result.stdout
    assert (result.returncode == 0) == (said == "node/x")
    assert len((tmp_path / "calls").read_text()) == calls


@pytest.mark.parametrize(("words", "version"), [
    ("github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+b4", "1.7.24~ds1"),
    ("github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376", "2.1.4"),
    ("containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da", "1.7.27"),
], ids=["debian", "upstream", "docker"])  # fmt: skip
def test_whose_containerd_it_may_be(tmp_path, words, version):
    """Upstream's says v2.1.4, which is no version that could be compared."""
    containerd = tmp_path / "containerd"
    containerd.write_text(f"#!/bin/sh\necho containerd {words}\n")
    containerd.chmod(0o755)
    result = ansible("ansible", "-i", "localhost,", "-c", "local", "localhost", "-m", "reaper_facts",
                     ANSIBLE_LIBRARY=str(SOURCE / "ansible/plugins/modules"),
                     ANSIBLE_ACTION_PLUGINS=str(SOURCE / "ansible/plugins/action"), PATH=f"{tmp_path}:{os.environ['PATH']}")  # fmt: skip
    assert f'"containerd_version": "{version}"' in result.stdout


@pytest.mark.full("a minute of processor time, and an environment of its own; ci/check-ansible by itself is the same")
def test_the_lint():
    run([SOURCE / "ci/check-ansible"], timeout=1800)


# the others want packages that no registry of ours has; symlinks are what the checkout's form is made of
SANITY = """action-plugin-docs compile empty-init ignores line-endings no-assert no-get-exception no-illegal-filenames
    no-smart-quotes replace-urlopen shebang use-argspec-type-path use-compat-six""".split()


@pytest.mark.full("an environment of its own; half a minute")
def test_the_sanity_tests_of_ansible(tmp_path):
    lint = run([SOURCE / "ci/python-env.sh", SOURCE / "ci/requirements-lint.txt"], timeout=900).stdout.strip()
    collection = tmp_path / "ansible_collections/reaper/node"
    shutil.copytree(SOURCE / "ansible", collection, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    run([f"{lint}/ansible-test", "sanity", "--local", "--python", "%d.%d" % sys.version_info[:2], *(f"--test={name}" for name in SANITY)],
        cwd=collection, timeout=600, env={**os.environ, "PATH": f"{lint}:{os.environ['PATH']}", "HOME": str(tmp_path)})  # fmt: skip


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)
def test_inventories_can_be_read(path):
    listed = json.loads(ansible("ansible-inventory", "-i", path, "--list").stdout)
    hosts = [*listed["k8s_nodes"].get("hosts", []), *listed["k8s_nodes"].get("children", [])]
    assert hosts


def test_the_cluster_as_an_inventory(tmp_path):
    """What kubectl prints of two nodes, as hosts with addresses."""
    node = lambda name, address, labels: {"metadata": {"name": name, "labels": labels},  # noqa: E731
                                          "status": {"addresses": [{"type": "InternalIP", "address": address}]}}  # fmt: skip
    items = [node("cp", "10.0.0.1", {"node-role.kubernetes.io/control-plane": ""}), node("w", "10.0.0.2", {})]
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({'items': items})}\nEND\n")
    kubectl.chmod(0o755)
    script = SOURCE / "ansible/inventories/kubectl.py"
    listed = json.loads(ansible("ansible-inventory", "-i", script, "--list", PATH=f"{tmp_path}:{os.environ['PATH']}").stdout)
    assert listed["_meta"]["hostvars"]["w"]["ansible_host"] == "10.0.0.2"
    assert listed["k8s_control_plane"]["hosts"] == ["cp"] and listed["k8s_nodes"]["hosts"] == ["cp", "w"]
    without = subprocess.run([sys.executable, script], env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False)
    assert without.returncode != 0 and without.stderr.startswith("kubectl does not tell the nodes: ")
