"""apply and undo where the daemon is not as it should be, on a node: the numbers are those of the list
that tests/support/confmerge/cases.py follows."""

import json
import os
import shutil
import time

import pytest
from confmerge.cases import CONFIG, RUNC2
from confmerge.ctl import corpus
from installed import handlers
from machine import BINARIES, PROGRAMS, Node

pytestmark = pytest.mark.submission("what a node looks like on the day somebody installs; a few seconds each")
full = pytest.mark.full("the same code in another state of the unit")
SHIM = "/usr/local/bin/containerd-shim-reaper-v2"
OVERRIDE = "/etc/systemd/system/containerd.service.d/10-test.conf"
STOCK = corpus("stock").decode()


@pytest.fixture(scope="module")
def module_node():
    node = Node("trixie", f"reaper-test-{os.getpid()}-daemon", cluster=f"reaper-test-{os.getpid()}-daemon", install=False, prepare=False)
    for program in PROGRAMS:
        shutil.copy2(BINARIES / program, node.path("/usr/local/bin/"))
    yield node
    node.remove()


@pytest.fixture
def node(module_node):
    """Debian's file, a daemon that is well, nothing of ours."""
    node = module_node
    node.path(CONFIG).write_text(STOCK)
    node.start_containerd()
    yield node
    node.run("systemctl", "unmask", "containerd", check=False)
    node.path(OVERRIDE).unlink(missing_ok=True)
    node.run("systemctl", "daemon-reload")
    node.run("rm", "-rf", "/var/lib/reaper", "/run/broken", "/root/fake")
    node.path(CONFIG).write_text(STOCK)
    node.run("systemctl", "reset-failed", "containerd", check=False)
    node.restart_containerd()


def override(node, *lines):
    path = node.path(OVERRIDE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[Service]\n" + "\n".join(lines) + "\n")
    node.run("systemctl", "daemon-reload")
    node.restart_containerd()


def started_by(node, script):
    """containerd is started by this script, which may look at $config before."""
    override(node, "ExecStartPre=", "ExecStart=", f"ExecStart=/bin/sh -c 'config={CONFIG}; {script}; exec /usr/bin/containerd'")


def ctl(node, verb, *args):
    result = node.reaperctl("containerd", verb, "--json", *args, check=False, timeout=300)
    return result.returncode, json.loads(result.stdout)


def served(node):
    with node.cri() as cri:
        return handlers(cri)


def pid(node, unit="containerd"):
    return node.run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()


def assert_untouched(node):
    assert node.path(CONFIG).read_text() == STOCK
    assert not node.path("/var/lib/reaper/containerd/journal").exists()


# --- a daemon that is not to be started, or that nobody can ask ---


@pytest.mark.parametrize("state", ["stopped", pytest.param("disabled", marks=full), "masked"])
def test_162_what_does_not_run_is_not_started(node, state):
    node.stop_containerd()
    if state == "disabled":
        node.run("systemctl", "disable", "containerd")
    elif state == "masked":
        node.run("systemctl", "mask", "--runtime", "containerd")
    status, said = ctl(node, "apply")
    assert (status, said["reason"], said["restart"]) == (0, "daemon-not-running", False), said
    assert node.run("systemctl", "is-active", "containerd", check=False).stdout == "inactive\n"
    node.run("systemctl", "unmask", "--runtime", "containerd")
    node.run("systemctl", "enable", "containerd")
    node.start_containerd()
    assert ctl(node, "verify")[0] == 0


@pytest.mark.parametrize("how", ["163-no-systemd", "179-no-bus"])
def test_who_cannot_be_asked_is_not_restarted(node, how):
    hide = "mount -t tmpfs none /run/systemd"
    if how.startswith("179"):
        hide = "mkdir /root/fake; printf '#!/bin/sh\\necho no bus >&2; exit 1\\n' >/root/fake/systemctl; chmod +x /root/fake/systemctl; PATH=/root/fake:$PATH"
    before = pid(node)
    result = node.run("unshare", "--mount", "sh", "-c", f"{hide}; exec reaperctl containerd apply --json")
    assert json.loads(result.stdout)["reason"] == "daemon-not-running"
    assert pid(node) == before and "reaper-v2" in node.path(CONFIG).read_text()
    assert ctl(node, "verify")[1]["reason"] == "E_NOT_LOADED"
    status, said = ctl(node, "apply")
    assert (status, said["reason"], said["restart"]) == (0, "changed", True), said


def test_180_and_161_a_degraded_system_is_no_obstacle_and_a_second_apply_does_nothing(node):
    node.run("systemd-run", "--unit=fails", "--wait", "/bin/false", check=False)
    assert node.run("systemctl", "is-system-running", check=False).stdout == "degraded\n"
    assert ctl(node, "apply")[1]["reason"] == "changed"
    before = pid(node), node.path(CONFIG).stat().st_mtime_ns
    assert ctl(node, "apply")[1]["reason"] == "ok"
    assert (pid(node), node.path(CONFIG).stat().st_mtime_ns) == before
    node.run("systemctl", "reset-failed", "fails", check=False)


# --- a daemon that does not come up ---


def test_166_a_daemon_that_dies_at_every_start_is_undone_and_170_who_needs_it_runs_again(node):
    started_by(node, "if grep -q reaper-v2 $config; then exit 1; fi")
    node.path("/etc/systemd/system/needs-containerd.service").write_text(
        "[Unit]\nBindsTo=containerd.service\nAfter=containerd.service\n[Service]\nExecStart=/bin/sleep infinity\n"
    )
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "start", "needs-containerd")
    status, said = ctl(node, "apply", "--timeout", "30")
    assert (status, said["reason"]) == (4, "E_UNDONE"), said
    assert_untouched(node)
    assert "runc" in served(node)
    assert node.run("systemctl", "is-active", "needs-containerd", check=False).stdout == "active\n", said
    assert any("needs-containerd.service had stopped" in n for n in said["notes"]), said
    node.run("systemctl", "stop", "needs-containerd")
    node.path("/etc/systemd/system/needs-containerd.service").unlink()


def test_167_a_restart_that_hangs_is_undone(node):
    started_by(node, "if grep -q reaper-v2 $config; then exec sleep infinity; fi")
    status, said = ctl(node, "apply", "--timeout", "5")
    assert (status, said["reason"]) == (4, "E_UNDONE"), said
    assert_untouched(node)
    assert "runc" in served(node)


def test_168_a_socket_that_comes_late_is_waited_for(node):
    override(node, "Type=simple", "ExecStart=", f"ExecStart=/bin/sh -c 'if grep -q reaper-v2 {CONFIG}; then rm -f /run/containerd/containerd.sock; "
             "sleep 3; fi; exec /usr/bin/containerd'")  # fmt: skip
    assert ctl(node, "apply")[1]["reason"] == "changed"
    assert "reaper-v2" in served(node)


def test_169_a_daemon_that_is_not_well_before_is_left_alone(node):
    node.path(CONFIG).write_text('version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "none"\n')
    node.run("systemctl", "restart", "containerd")
    node.path(CONFIG).write_text(STOCK)
    before = pid(node)
    status, said = ctl(node, "apply", "--timeout", "2")
    assert (status, said["reason"]) == (3, "E_BASELINE_UNHEALTHY"), said
    assert_untouched(node)
    assert pid(node) == before


def broken_from_then_on(node, when):
    """The daemon loses its CRI plugin at the first start at which `when` holds, and stays so."""
    node.path("/etc/broken.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    started_by(node, f"if {when}; then touch /run/broken; fi; if [ -e /run/broken ]; then exec /usr/bin/containerd --config /etc/broken.toml; fi")


def test_exit_5_when_not_even_the_old_file_helps(node):
    broken_from_then_on(node, "grep -q reaper-v2 $config")
    status, said = ctl(node, "apply", "--timeout", "4")
    assert (status, said["reason"], said["result"]) == (5, "E_UNDO_FAILED", "failed"), said
    assert "has its old bytes again" in said["message"] and said["next"]
    assert node.path(CONFIG).read_text() == STOCK


def test_158_an_undo_whose_restart_fails_says_so(node):
    assert ctl(node, "apply")[0] == 0
    broken_from_then_on(node, "! grep -q reaper-v2 $config")
    status, said = ctl(node, "undo", "--timeout", "4")
    assert (status, said["reason"]) == (5, "E_UNDO_FAILED"), said
    assert "was taken out" in said["message"] and said["next"].startswith("journalctl -u containerd")
    assert node.path(CONFIG).read_text() == STOCK


# --- what a restart would do ---


@pytest.mark.parametrize("mode", ["control-group", pytest.param("mixed", marks=full)])
def test_171_a_restart_that_would_end_every_pod_is_refused(node, mode):
    override(node, f"KillMode={mode}")
    before = pid(node)
    status, said = ctl(node, "apply")
    assert (status, said["reason"]) == (3, "E_KILL_MODE"), said
    assert_untouched(node)
    assert pid(node) == before
    assert ctl(node, "apply", "--force")[1]["reason"] == "changed"


def test_172_173_a_running_container_survives_and_nobody_sends_a_hangup(node):
    node.run("sh", "-c", "mkdir -p /root/rootfs/usr /root/rootfs/proc && cd /root/rootfs && ln -sfn usr/lib lib && ln -sfn usr/lib64 lib64 && ln -sfn usr/bin bin")
    node.run("ctr", "run", "--detach", "--mount", "type=bind,src=/usr,dst=/usr,options=rbind:ro", "--rootfs", "/root/rootfs",
             "survivor", "/bin/sleep", "infinity")  # fmt: skip
    try:
        task = node.run("ctr", "tasks", "ls").stdout.split("survivor")[1].split()[0]
        began = int(time.time())
        assert ctl(node, "apply")[1]["restart"] is True
        assert ctl(node, "undo")[1]["restart"] is True
        assert node.run("ctr", "tasks", "ls").stdout.split("survivor")[1].split()[:2] == [task, "RUNNING"]
        said = node.run("journalctl", "--quiet", "-u", "containerd", "--since", f"@{began}", "-o", "cat").stdout
        assert "Stopped containerd" in said and "HUP" not in said
    finally:
        node.run("ctr", "tasks", "delete", "--force", "survivor", check=False)
        node.run("ctr", "containers", "delete", "survivor", check=False)


# --- which daemon, and which shim ---


def test_175_of_two_daemons_the_unit_decides(node):
    other = 'version = 2\nroot = "/var/lib/other"\nstate = "/run/other"\n[grpc]\naddress = "/run/other/containerd.sock"\n' + RUNC2
    node.path("/etc/other.toml").write_text(other)
    node.run("systemd-run", "--unit=other", "/usr/bin/containerd", "--config", "/etc/other.toml")
    try:
        before = pid(node, "other")
        assert ctl(node, "apply")[1]["config"] == CONFIG
        assert node.path("/etc/other.toml").read_text() == other and pid(node, "other") == before != "0"
        assert ctl(node, "plan", "--unit", "other")[1]["config"] == "/etc/other.toml"
    finally:
        node.run("systemctl", "stop", "other")
        node.path("/etc/other.toml").unlink()
        node.run("rm", "-rf", "/var/lib/other", "/run/other")


def other_machine(program):
    """The same program for another processor: e_machine of ELF's header."""
    return program[:18] + b"\xf3\x00" + program[20:]


@pytest.mark.parametrize("what", ["missing", "not-executable", "of-another-machine"])
def test_177_a_shim_that_cannot_run_is_refused_before_the_write(node, what):
    shim = node.path(SHIM)
    program = shim.read_bytes()
    try:
        if what == "missing":
            shim.unlink()
        elif what == "not-executable":
            shim.chmod(0o644)
        else:
            shim.write_bytes(other_machine(program))
        status, said = ctl(node, "apply")
        assert (status, said["reason"]) == (3, "E_NO_SHIM"), said
        assert_untouched(node)
    finally:
        shim.unlink(missing_ok=True)
        shim.write_bytes(program)
        shim.chmod(0o755)


def test_178_the_units_path_is_where_the_shim_must_be(node):
    override(node, "Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin")
    status, said = ctl(node, "apply")
    assert (status, said["reason"]) == (3, "E_NO_SHIM"), said
    assert "/usr/sbin:/usr/bin" in said["message"]
    assert_untouched(node)
