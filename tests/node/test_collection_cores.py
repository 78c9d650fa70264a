"""The first and the last Ansible that the collection is for, and both of its forms, from a directory that is not its own."""

import os
import re

import pytest

from fleet import assert_after, assert_before, files
from installed import package
from machine import SOURCE, run

pytestmark = pytest.mark.full("two environments of their own, and a whole installation in each; a minute")


@pytest.fixture(scope="module", params=["oldest", "newest", "trixie"])
def core(request):
    """The directory of its programs; Debian's own are in a root of that release."""
    if request.param == "trixie":
        command = [SOURCE / "ci/debian-ansible.sh", request.param]
    else:
        command = [SOURCE / "ci/python-env.sh", SOURCE / f"ci/requirements-{request.param}.txt"]
    found = run(command, timeout=900).stdout.strip()
    print(run([f"{found}/ansible", "--version"], env={**os.environ, "REAPER_CHECKOUT": str(SOURCE)}).stdout.splitlines()[0])
    return found


@pytest.mark.parametrize("form", ["checkout", "collection"])
def test_from_installation_to_removal(stock, tmp_path, core, form):
    node = stock("bookworm")
    etc = files(node, "/etc")
    environment = {**os.environ, "PATH": f"{core}:{os.environ['PATH']}", "HOME": str(tmp_path), "REAPER_CHECKOUT": str(SOURCE),
                   "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}  # fmt: skip
    environment.pop("ANSIBLE_CONFIG", None)
    if form == "collection":
        galaxy = [f"{core}/ansible-galaxy", "collection"]
        run([*galaxy, "build", SOURCE / "ansible", "--output-path", tmp_path], env=environment, cwd="/")
        (tar,) = tmp_path.glob("reaper-node-*.tar.gz")
        run([*galaxy, "install", tar, "-p", tmp_path / "collections"], env=environment, cwd="/")
    inventory = tmp_path / "inventory.ini"
    inventory.write_text(f"[k8s_nodes]\n{node.name} ansible_connection=community.docker.docker ansible_user=root\n")

    def play(name, *arguments):
        book = SOURCE / f"ansible/{name}-reaper.yml" if form == "checkout" else f"reaper.node.{name}"
        said = run([f"{core}/ansible-playbook", "-i", inventory, book, *arguments], env=environment, cwd="/", timeout=300)
        assert "[DEPRECATION WARNING]" not in said.stderr and "[WARNING]: Skipping" not in said.stderr, said.stderr
        return int(re.search(r"changed=(\d+)", said.stdout).group(1)), said.stdout

    what = ["-e", f"reaper_package={package()}"]
    changed, said = play("install", *what, "--check", "--diff")
    assert changed > 0 and "reaper-v2" in said
    assert_before(node, etc)
    assert play("install", *what)[0] > 0
    assert_after(node)
    assert play("install", *what)[0] == 0
    assert play("verify")[0] == 0
    assert play("rollback")[0] > 0
    assert_before(node, etc)
