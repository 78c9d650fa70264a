"""The commands of the pages, typed as they stand: those of one page and environment in one go (tests/support/doc_blocks.py)."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

import doc_blocks
from installed import add_pod_network, example, file_state, make_pod, package, CONFIG
from cri import CriError
from machine import BINARIES, PROGRAMS, SOURCE, run
from over_ssh import let_in
from pods import Pods

SOON = pytest.mark.submission("what a page says first has to work; seconds on a node")
LATER = pytest.mark.full("minutes: builds, SSH, whole nodes")

# what must have been said, beyond that no command failed
SAID = {
    ("README.md", "try"): ["PRETTY_NAME=", "not on the node", "added    /etc/was-here", "slurmd: not found; searched", "refused", "Removed: the node"],
    ("docs/INSTALL.md", "ssh"): ["over-ssh"],
    ("docs/OPERATIONS.md", "installed"): ["no-such-program"],
    ("docs/POLICY.md", "installed"): ["example: allowed"],
    ("docs/RUNTIME-CLI.md", "installed"): ["/proc/self/exe -> "],
    ("kubernetes/README.md", "ssh"): ["was imported", "runtime-loaded"],
}


def by_page(*environments):
    """The blocks of each page and environment, as parameters with their sets."""
    found = {}
    for block in doc_blocks.commands(*environments):
        found.setdefault((block.page, block.environment), []).append(block)
    return [pytest.param(blocks, id=":".join(key), marks=SOON if key[1] in ("node", "installed", "programs", "rpm") else LATER)
            for key, blocks in found.items()]  # fmt: skip


def judged(blocks, result):
    said = result.stdout + result.stderr
    assert result.returncode == 0, said[-6000:]
    for words in SAID.get((blocks[0].page, blocks[0].environment), []):
        assert words in said, f"{words!r} was not said:\n{said[-6000:]}"
    return said


def here(blocks, values, directory=SOURCE, **environment):
    """Runs the blocks on this machine."""
    return judged(blocks, run(["bash", "-c", doc_blocks.script(blocks, values)], check=False, timeout=3600, cwd=directory,
                              env={**os.environ, **environment}))  # fmt: skip


@pytest.mark.submission("a block that nobody runs is wrong one day; needs no machine")
def test_a_block_that_is_neither_run_nor_marked_is_named():
    def complaints(text):
        return doc_blocks.blocks("README.md", text)[1]

    fence = "```sh\nkubectl get pods\n```\n"
    assert not complaints(f"<!-- run: kube -->\n{fence}")
    assert not complaints(f"<!-- not run: needs an account -->\n{fence}\nNot tested by us.\n")
    for text, words in (
        (fence, "that no test runs"),
        (f"<!-- not run: needs an account -->\n{fence}\nText.\n", "its reader is not told"),
        (f"<!-- run: moon -->\n{fence}", "no such environment"),
        (f"<!-- run: kube NAME -->\n{fence}", "NAME: not in the block"),
        ("```\nx\n```\n", "without a language"),
        ("```text\nkubectl get pods\n```\n", "looks like commands"),
        ("Text:\n\n    kubectl get pods\n", "an indented block"),
    ):
        assert words in " ".join(complaints(text)), text


@pytest.fixture
def on_a_node(stock):
    """on_a_node(ENVIRONMENT) gives a stock node that answers questions of apt and dnf with yes, and has the packages in /root/dist."""

    def make(environment):
        node = stock("rpm" if environment == "rpm" else "trixie")
        node.path("/root/dist").mkdir()
        shutil.copy(package("rpm" if environment == "rpm" else "deb"), node.path("/root/dist"))
        if environment == "rpm":
            node.path("/etc/dnf/dnf.conf").write_text("[main]\nassumeyes=1\ngpgcheck=0\nreposdir=/nonexistent\n")
        else:
            node.path("/etc/apt/apt.conf.d/99yes").write_text('APT::Get::Assume-Yes "true";\n')
        return node

    return make


def refuse_a_pod(node):
    """For the page on history: a start that was refused."""
    add_pod_network(node)
    manifest = example()
    manifest["metadata"]["name"] = "web-0"
    manifest["spec"]["containers"][0]["command"] = ["no-such-program"]
    pods = Pods(node)
    try:
        pod, container = make_pod(pods, manifest)
        with pytest.raises(CriError):
            pods.cri.start_container(container)
    except CriError:
        pass
    finally:
        pods.close()


def typed_on(node, blocks, kind="deb"):
    name = package(kind).name
    version = re.match(r"reaper_(.+)_amd64\.deb|reaper-(.+)-1\.x86_64\.rpm", name)
    values = {"VERSION": next(filter(None, version.groups()))}
    script = "cd /root/dist\n" + doc_blocks.script(blocks, values)
    judged(blocks, node.run("bash", "-c", script, check=False, timeout=600))


@pytest.mark.parametrize("blocks", by_page("node", "rpm", "programs"))
def test_on_a_node(on_a_node, blocks):
    environment = blocks[0].environment
    node = on_a_node(environment)
    before = file_state(node.path(CONFIG))
    if environment == "programs":
        for program in PROGRAMS:
            shutil.copy2(BINARIES / program, node.path("/usr/local/bin"))
    typed_on(node, blocks, "rpm" if environment == "rpm" else "deb")
    if environment in ("node", "rpm"):
        assert file_state(node.path(CONFIG)) == before, "what was installed and removed again"


@SOON
def test_on_a_node_that_has_the_package(on_a_node):
    """One node for all pages."""
    node = on_a_node("installed")
    node.run("sh", "-c", "apt-get -q install /root/dist/*.deb", timeout=300)
    refuse_a_pod(node)
    node.path("/root/dist/pod.yaml").write_text(yaml.safe_dump(example()))
    for page in by_page("installed"):
        typed_on(node, *page.values)


@pytest.mark.parametrize("blocks", by_page("cluster"))
def test_beside_a_cluster_of_one_node(stock, tmp_path, blocks):
    node = stock("bookworm")
    here(blocks, {"NAME": node.cluster}, HOME=str(tmp_path))
    assert node.path("/usr/bin/reaperctl").exists()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone with what is not committed yet, and what was built of packages."""
    directory = tmp_path_factory.mktemp("docs") / "reaper"
    run(["git", "clone", "--quiet", SOURCE, directory])
    listed = run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"]).stdout.splitlines()
    for name in listed:
        source = SOURCE / name
        if source.exists() and not source.is_symlink():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, directory / name)
    shutil.copytree(SOURCE / "dist", directory / "dist")
    return directory


@pytest.mark.parametrize("blocks", by_page("checkout"))
def test_in_a_checkout(checkout, tmp_path, blocks):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    run(["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "You <you@example.org>",
         "ed25519", "sign", "never"])  # fmt: skip
    try:
        # what is installed is gone with the mount namespace
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                   "mount -t tmpfs reaper-test /usr/local && mount -t tmpfs reaper-test /srv && exec bash -c \"$0\""]  # fmt: skip
        result = run([*private, doc_blocks.script(blocks, {})], check=False, timeout=3600, cwd=checkout,
                     env={**os.environ, "GNUPGHOME": str(home)})  # fmt: skip
        judged(blocks, result)
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"])


@pytest.mark.parametrize("blocks", by_page("ssh"))
def test_over_ssh(stock, tmp_path, blocks):
    """From a directory that is the checkout, and has the inventory and the stanza that the reader writes."""
    node = stock("trixie")
    address, _ = let_in(node, tmp_path)
    for entry in SOURCE.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    stanza = [b.text for b in doc_blocks.blocks(blocks[0].page)[0] if b.language == "toml"]
    (tmp_path / "stanza.toml").write_text("\n" + "".join(stanza) + "\n")
    (tmp_path / "config").write_text(f"Host *\nIdentityFile {tmp_path}/key\nUserKnownHostsFile {tmp_path}/hosts\nStrictHostKeyChecking accept-new\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ssh", "scp"):
        (tools / name).write_text(f'#!/bin/sh\nexec /usr/bin/{name} -F {tmp_path}/config "$@"\n')
        (tools / name).chmod(0o755)
    here(blocks, {"NODE": address}, tmp_path, HOME=str(tmp_path), PATH=f"{tools}:{os.environ['PATH']}")


@pytest.mark.full("makes a whole node with the script that users try; minutes")
def test_the_quick_start():
    blocks = doc_blocks.commands("try")
    assert {b.page for b in blocks} == {"README.md"}
    try:
        here(blocks, {})
    finally:
        subprocess.run([SOURCE / "scripts/try-reaper.sh", "--delete"], stdout=subprocess.DEVNULL, check=True)


@pytest.mark.full("each call collects all tests; a minute")
def test_the_commands_that_are_the_tests_take_their_options():
    for block in doc_blocks.commands("list"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                assert pathlib.Path(words[0]).name in ("run-integration-tests.sh", "run-benchmarks.sh"), line
                run([*words, "--list"], cwd=SOURCE, timeout=300)
