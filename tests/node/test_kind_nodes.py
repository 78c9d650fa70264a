"""Which containers of this machine are the nodes of a kind cluster, and which cluster kubectl's context is of."""

import os
import sys

import pytest

from machine import SOURCE, run

pytestmark = pytest.mark.submission("a neighbour's node taken for one of ours; containers that sleep, two seconds each")

NAME = f"reaper-test-{os.getpid()}"
BIN = os.path.dirname(sys.executable)
# what the role finds, as a play sees it
PLAY = f"""
- hosts: localhost
  connection: local
  gather_facts: false
  roles: [{SOURCE}/ansible/roles/kind]
  tasks:
    - ansible.builtin.debug:
        msg: "nodes={{{{ groups['k8s_nodes'] | join(' ') }}}} planes={{{{ groups['k8s_control_plane'] | join(' ') }}}} by {{{{
          groups['k8s_nodes'] | map('extract', hostvars, 'ansible_connection') | unique | join(' ') }}}}"
"""


@pytest.fixture
def container():
    """container(CLUSTER, ROLE) runs one with kind's labels, and nothing of a node in it; its name."""
    image = run([SOURCE / "ci/node-image.sh", "bookworm"], timeout=900).stdout.strip()
    made = []

    def make(cluster, role, verb=("run", "--detach")):
        name = f"{cluster}-{role}"
        run(["docker", *verb, "--name", name, "--network", "none", "--label", f"io.x-k8s.kind.cluster={cluster}",
             "--label", f"io.x-k8s.kind.role={role}", "--entrypoint", "sleep", image, "infinity"])  # fmt: skip
        made.append(name)
        return name

    yield make
    if made:
        run(["docker", "rm", "--force", "--volumes", *made])


def script(cluster, *arguments, **options):
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", cluster, "--verify", *arguments]
    return run(command, cwd="/", check=False, **options)


def role(directory, cluster, *arguments, core=BIN, **environment):
    play = directory / "play.yml"
    play.write_text(PLAY)
    return run([f"{core}/ansible-playbook", "-e", f"reaper_kind={cluster}", *arguments, play], check=False, cwd="/",
               env={**os.environ, **environment})  # fmt: skip


def ends_with_one_line(result, *words):
    assert result.returncode != 0
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("install-reaper: error: "), result.stderr
    for word in words:
        assert word in lines[0]
    assert result.stdout == "", "a play has begun"


def test_a_name_that_is_part_of_another(container, tmp_path):
    """`dev` beside `dev-2` and `my-dev`; and what has the labels and is no node: a load balancer."""
    ours = [container(f"{NAME}-dev", "control-plane"), container(f"{NAME}-dev", "worker")]
    container(f"{NAME}-dev", "external-load-balancer")
    container(f"{NAME}-dev-2", "worker")
    container(f"my-{NAME}-dev", "control-plane")
    listed = script(f"{NAME}-dev", "--report", tmp_path, "--", "--list-hosts")
    assert listed.returncode == 0, listed.stderr
    assert {line.strip() for line in listed.stdout.splitlines() if NAME in line} == set(ours)
    said = role(tmp_path, f"{NAME}-dev")
    assert f"nodes={' '.join(ours)} planes={ours[0]} by " in said.stdout, said.stdout + said.stderr

    # one that is only the beginning, or the end, of one that there is
    for part in (NAME, "dev"):
        ends_with_one_line(script(part), f'there is no kind cluster "{part}" here (clusters: ', f"{NAME}-dev {NAME}-dev-2")
        said = role(tmp_path, part)
        assert said.returncode != 0 and f'there is no kind cluster \\"{part}\\" here' in said.stdout, said.stdout


def test_a_node_that_does_not_run(container, tmp_path):
    """The whole cluster, or nothing: a node that comes up without the runtime is found out by its first pod."""
    container(f"{NAME}-dev", "control-plane")
    stopped = container(f"{NAME}-dev", "worker", ["create"])
    result = script(f"{NAME}-dev")
    ends_with_one_line(result, f"these nodes of {NAME}-dev do not run: {stopped} (created) (next: docker start NODE)")
    said = role(tmp_path, f"{NAME}-dev")
    assert said.returncode != 0 and f"these nodes of {NAME}-dev do not run: {stopped}" in said.stdout, said.stdout
    # a load balancer that does not run is none of ours
    run(["docker", "start", stopped])
    container(f"{NAME}-dev", "external-load-balancer", ["create"])
    assert script(f"{NAME}-dev", "--report", tmp_path, "--", "--list-hosts").returncode == 0


@pytest.mark.full("two environments of their own, whose Ansibles read templates differently")
@pytest.mark.parametrize("core", ["oldest", "newest"])
def test_each_ansible_finds_them(container, tmp_path, core):
    found = run([SOURCE / "ci/python-env.sh", SOURCE / f"ci/requirements-{core}.txt"], timeout=900).stdout.strip()
    ours = container(f"{NAME}-dev", "control-plane")
    container(f"{NAME}-dev-2", "worker")
    said = role(tmp_path, f"{NAME}-dev", core=found)
    assert f"nodes={ours} planes={ours} by community.docker.docker" in said.stdout, said.stdout + said.stderr


def test_the_nodes_of_another_engine(tmp_path):
    """podman has the containers, so Ansible reaches them by podman."""
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\necho n1 running control-plane\n")
    podman.chmod(0o755)
    said = role(tmp_path, "dev", "-e", "reaper_engine=podman", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "nodes=n1 planes=n1 by containers.podman.podman" in said.stdout, said.stdout + said.stderr


@pytest.fixture
def context(tmp_path):
    """A kubectl that has the contexts `ours`, `theirs` and `away`, and an inventory of the cluster of `ours`."""
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text("""#!/bin/sh
case "$*" in
'config current-context') echo theirs ;;
'config get-contexts -o name') printf 'ours\\ntheirs\\naway\\n' ;;
'config get-contexts ours' | 'config get-contexts theirs' | 'config get-contexts away') ;;
'--context ours '*' get nodes '*) printf 'n1 10.0.0.1\\nn2 10.0.0.2\\n' ;;
'--context theirs '*' get nodes '*) printf 'prod-1 192.0.2.1\\n' ;;
'--context away '*' get nodes '*) echo 'The connection to the server away:6443 was refused' >&2; exit 1 ;;
*) exit 1 ;;
esac
""")
    kubectl.chmod(0o755)
    inventory = tmp_path / "inventory.ini"
    # the names are those of the cluster, or its addresses
    inventory.write_text("[k8s_nodes]\nn1\nother ansible_host=10.0.0.2\n")
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{BIN}:{os.environ['PATH']}"}

    def call(*arguments):
        command = [SOURCE / "scripts/install-reaper.sh", "--inventory", inventory, "--report", tmp_path, "--verify"]
        return run([*command, *arguments, "--", "--list-hosts"], check=False, cwd="/", env=environment)

    return call


MORE = pytest.mark.full("a mistake that kubectl itself names, too; two seconds")


@pytest.mark.parametrize(("name", "words"), [
    pytest.param("nowhere", "kubectl has no context nowhere (there are: ours theirs away)", marks=MORE),
    ("theirs", "the context theirs is of another cluster: none of its nodes (prod-1) is in the inventory"),
    pytest.param("away", "kubectl does not reach the cluster of the context away: The connection to the server away:6443 was refused",
                 marks=MORE),
], ids=["unknown", "of_others", "away"])  # fmt: skip
def test_a_wrong_context(context, name, words):
    ends_with_one_line(context("--context", name), words)


@pytest.mark.full("the same once more, with another context; three seconds")
def test_the_context_of_the_nodes(context):
    """The right one is taken; the current one is none that was asked for, and is left alone with a word where it is another's."""
    assert context("--context", "ours").returncode == 0
    result = context()
    assert result.returncode == 0
    assert "the context theirs is of another cluster" in result.stderr and "nothing is done in a cluster" in result.stderr
