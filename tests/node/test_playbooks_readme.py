"""Every command of ansible/README.md: run here in the order of the page, or on a list that says where it is run."""

import os
import re
import shlex

import pytest

from fleet import assert_after, assert_before, files
from machine import SOURCE, run

pytestmark = pytest.mark.full("each command of the page, one after the other; three minutes")

README = SOURCE / "ansible/README.md"

ELSEWHERE = {
    "kubectl apply -f kubernetes/runtimeclass.yaml": "tier kube: it needs a cluster",
    "kubectl logs reaper-example": "tier kube: it needs a cluster",
    "ansible -i inventory.ini k8s_nodes -m ping": "test_ssh.py: these nodes have no Python",
}
# nobody has run these: they need an account
CLOUDS = ["scripts/install-reaper.sh --inventory ansible/inventories/gke.ini", "scripts/install-reaper.sh --inventory ansible/inventories/eks.ini",
          "scripts/install-reaper.sh --inventory ansible/inventories/aks.ini"]  # fmt: skip
PROGRAMS = ("ansible", "ansible-playbook", "ansible-galaxy", "scripts/install-reaper.sh", "kubectl", "cp")


def commands():
    """Those of the blocks and those within the text, one by one, without what is said behind them."""
    text = README.read_text()
    found = []
    for block, inline in re.findall(r"^```\n(.*?)^```|`([^`\n]+(?:\n[^`\n]+)?)`", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines() or [inline.replace("\n", " ")]:
            for command in re.sub(r"\s+#.*", "", line).split(" && "):
                words = command.split()
                if len(words) > 1 and words[0] in PROGRAMS:
                    found.append(" ".join(words))
    return found


def test_every_command_of_the_page(stock, tmp_path):
    node = stock("trixie")
    etc = files(node, "/etc")
    for name in ("ansible", "scripts", "kubernetes", "dist", "ci"):
        (tmp_path / name).symlink_to(SOURCE / name)
    environment = {**os.environ, "HOME": str(tmp_path), "PWD": str(tmp_path), "ANSIBLE_HOME": str(tmp_path / ".ansible")}
    ran = []
    for command in commands():
        if command in ELSEWHERE or command in CLOUDS:
            continue
        typed = command.replace("--kind test", f"--kind {node.cluster}").replace("reaper_kind=test", f"reaper_kind={node.cluster}")
        if re.search("rollback|uninstall", typed) and not node.path("/usr/bin/reaperctl").exists():
            run(shlex.split("scripts/install-reaper.sh --inventory inventory.ini"), cwd=tmp_path, env=environment, timeout=300)
        run(["sh", "-c", typed], cwd=tmp_path, env=environment, timeout=600)
        ran.append(command)
        if typed.startswith("cp "):
            # the two lines that are to be edited
            inventory = tmp_path / "inventory.ini"
            text = inventory.read_text().replace("node[1:3].example.com", f"{node.name} ansible_connection=community.docker.docker")
            inventory.write_text(text)
        if re.search("rollback|uninstall", typed):
            assert_before(node, etc)
        elif re.search("install-reaper.(sh|yml)|kind.yml|node.install", typed) and not re.search("dry-run|check", typed):
            assert_after(node)
    print("run:", *ran, "run elsewhere:", *(f"{c} ({why})" for c, why in ELSEWHERE.items()), "not run, they need an account:", *CLOUDS, sep="\n  ")
    assert set(ELSEWHERE) | set(CLOUDS) <= set(commands()), "the page has what these lists name"
    assert len(ran) >= 12
