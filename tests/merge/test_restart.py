"""The whole way on nodes: apply restarts the daemon and asks its CRI plugin; what does not come up
well is taken back by itself."""

import json
import shutil

import pytest
from confmerge.cases import CASES, CONFIG, RUNC2, V2
from confmerge.ctl import corpus
from installed import handlers
from machine import BINARIES, PROGRAMS

SYSTEMD_CGROUP = f"version = 2\n{RUNC2}[{V2}.runc.options]\nSystemdCgroup = true\n"
CRUN = ('version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "other"\n'
        f"[{V2}.other]\nruntime_type = \"io.containerd.runc.v2\"\n")  # fmt: skip
CHOSEN = {
    "001-003 Debian's own file": corpus("stock").decode(),
    "024 an empty file": "",
    "034 another default and no runc": CRUN,
    "037 runc with SystemdCgroup": SYSTEMD_CGROUP,
}
assert {"001", "024", "034", "037"} <= {c.number for c in CASES}


def prepare(node):
    for program in PROGRAMS:
        if (BINARIES / program).exists():
            shutil.copy2(BINARIES / program, node.path("/usr/local/bin/"))
    node.run("systemctl", "start", "containerd", timeout=60)
    node.wait_for_cri()
    return node


def ctl(node, verb, *args):
    result = node.reaperctl("containerd", verb, "--json", *args, check=False, timeout=300)
    return result.returncode, json.loads(result.stdout)


def served(node):
    with node.cri() as cri:
        return handlers(cri)


def walk(node, text):
    config = node.path(CONFIG)
    config.write_text(text)
    node.restart_containerd()
    before = served(node)
    status, said = ctl(node, "apply")
    assert status == 0 and said["result"] == "changed" and said["restart"], said
    assert served(node) == before | {"reaper-v2"}
    pid = node.containerd_pid()
    status, said = ctl(node, "apply")
    assert (status, said["reason"], said["restart"]) == (0, "ok", False), said
    assert node.containerd_pid() == pid, "a second apply restarted the daemon"
    assert ctl(node, "verify")[0] == 0
    status, said = ctl(node, "undo")
    assert (status, said["reason"]) == (0, "removed"), said
    assert config.read_text() == text and served(node) == before


@pytest.mark.full("twelve cases, four a node, with real restarts")
@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_chosen_cases_with_a_restart(stock, suite):
    node = prepare(stock(suite))
    for text in CHOSEN.values():
        walk(node, text)


@pytest.mark.submission("a node must not stay broken: undone without anybody's help")
def test_165_a_daemon_that_comes_up_without_its_cri_plugin_is_undone(stock):
    node = prepare(stock("trixie"))
    node.path("/etc/broken.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    override = node.path("/etc/systemd/system/containerd.service.d/10-test.conf")
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nExecStart=\nExecStart=/bin/sh -c 'if grep -q reaper-v2 /etc/containerd/config.toml; "
                        "then exec /usr/bin/containerd --config /etc/broken.toml; fi; exec /usr/bin/containerd'\n")  # fmt: skip
    node.run("systemctl", "daemon-reload")
    node.restart_containerd()
    before = node.path(CONFIG).read_bytes()
    status, said = ctl(node, "apply", "--timeout", "20")
    assert (status, said["reason"], said["result"]) == (4, "E_UNDONE", "failed"), said
    assert node.path(CONFIG).read_bytes() == before
    assert "runc" in served(node)
    assert not node.path("/var/lib/reaper/containerd/journal").exists()
