"""`reaperctl doctor --task` on a node: a task of ctr is really made, and nothing is left."""

import json

import pytest

from machine import IMAGE

CONFIG = "/etc/containerd/config.toml"


def ask(node, *words, prefix=()):
    result = node.run(*prefix, "reaperctl", "doctor", "--json", *words, check=False)
    return result.returncode, json.loads(result.stdout)["checks"]


def doctor(node, *prefix):
    # the tests' own image of the same name has other bytes
    node.run("reaperctl", "image", "import")
    return ask(node, "--task", prefix=prefix)


@pytest.mark.submission("the last check of an installation: one throw-away task that is gone afterwards")
@pytest.mark.parametrize("suite", ["trixie"])
def test_a_throw_away_task(checked, suite):
    node = checked(suite)
    status, checks = doctor(node)
    wrong = {name: check for name, check in checks.items() if check["result"] == "failed"}
    assert (status, wrong) == (0, {})
    for name in ["task-start", "task-cgroup", "task-overlay", "task-write", "task-exec", "task-exit"]:
        assert checks[name]["result"] == "passed"
    assert "reaper-check" not in node.ctr("containers", "ls").stdout


@pytest.mark.full("a shim that is away is told, with the daemon's and the package's check")
def test_a_shim_that_is_away(checked):
    node = checked("trixie")
    path = node.run("sh", "-c", "command -v containerd-shim-reaper-v2").stdout.strip()
    node.run("mv", path, f"{path}.away")
    try:
        status, checks = doctor(node)
    finally:
        node.run("mv", f"{path}.away", path)
    assert status == 12
    assert checks["shim-version"]["result"] == checks["shim-found"]["result"] == "failed"
    assert checks["task-start"]["result"] == "skipped"


@pytest.mark.submission("a file that is right says nothing about the daemon that runs")
@pytest.mark.parametrize("name, other", [
    ("runtime-loaded", "version = 2\n"),
    ("cri-healthy", 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "none"\n'),
])  # fmt: skip
def test_a_daemon_that_runs_with_another_file(checked, name, other):
    node = checked("trixie")
    config = node.path(CONFIG)
    text = config.read_text()
    try:
        config.write_text(other)
        node.run("systemctl", "restart", "containerd")
        config.write_text(text)
        status, checks = doctor(node)
    finally:
        config.write_text(text)
        node.restart_containerd()
    assert (status, checks[name]["result"]) == (14, "failed"), checks
    assert [i for i, c in checks.items() if c["result"] == "failed"] == [name]
    assert checks[name]["why"] and checks[name]["next"]
    assert checks["task-start"]["result"] == "skipped"


@pytest.mark.submission("the one thing of a running node that --fix brings back")
def test_an_image_that_is_gone(checked):
    node = checked("trixie")
    node.run("reaperctl", "image", "import")
    node.ctr("--namespace", "k8s.io", "images", "rm", IMAGE)
    status, checks = ask(node, "--fix", "--dry-run")
    assert (status, checks["image"]["result"], checks["image"]["fix"]) == (14, "failed", f"would import {IMAGE}")
    assert "does not list it" in checks["image"]["why"]
    status, checks = ask(node, "--fix")
    assert (status, checks["image"]["result"], checks["image"]["fix"]) == (0, "passed", f"imported {IMAGE}")
    assert "fix" not in ask(node, "--fix")[1]["image"]


# A ctr with one fault; all else is the real one's.
FAULTS = {
    "task-start": 'case "$*" in *" run --detach "*) echo broken >&2; exit 1 ;; esac',
    # the pid that it lists is not the task's: PID 1 of the node, whose root is an overlay too
    "task-cgroup": 'case "$*" in *" tasks ls") real "$@" | awk \'NR > 1 { $2 = 1 } { print }\'; exit 0 ;; esac',
    # that of a process in the task's cgroup whose root is no overlay
    "task-overlay": """case "$*" in *" tasks ls")
    list=$(real "$@"); pid=$(echo "$list" | awk '/reaper-check/ { print $2 }')
    line=$(grep /reaper-check /proc/$pid/cgroup | head -n 1); at=${line#*:}; where=${at#*:}; what=${at%%:*}
    mkdir -p /run/other-root/usr
    unshare --mount sh -c 'mount --bind /usr /run/other-root/usr && cd /run/other-root && ln -sfn usr/lib lib &&
        ln -sfn usr/lib64 lib64 && ln -sfn usr/bin bin && echo $$ >"$1/cgroup.procs" &&
        exec chroot /run/other-root /bin/sleep 100' sh "/sys/fs/cgroup/${what#name=}$where" </dev/null >/dev/null 2>&1 &
    echo $! >/root/bin/pid
    until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done
    echo "$list" | awk -v pid=$! 'NR > 1 { $2 = pid } { print }'
    exit 0 ;; esac""",
    "task-write": 'case "$*" in *" --exec-id write "*) for name; do :; done; name=${name##* }; echo x >"$name"; exit 0 ;; esac',
    "task-exec": 'case "$*" in *" --exec-id status "*) exit 0 ;; esac',
    "task-exit": 'case "$*" in *" run --rm "*) echo broken >&2; exit 3 ;; esac',
}


@pytest.mark.submission("a check that cannot fail says nothing")
@pytest.mark.parametrize("name", FAULTS)
def test_a_task_with_a_fault(checked, name):
    node = checked("trixie")
    ctr = node.path("/root/bin/ctr")
    ctr.parent.mkdir(exist_ok=True)
    real = node.run("sh", "-c", "command -v ctr").stdout.strip()
    ctr.write_text(f"#!/bin/sh\nreal() {{ {real} \"$@\"; }}\n{FAULTS[name]}\nexec {real} \"$@\"\n")
    ctr.chmod(0o755)
    try:
        status, checks = doctor(node, "env", "PATH=/root/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    finally:
        node.run("sh", "-c", "if [ -e /root/bin/pid ]; then kill $(cat /root/bin/pid); fi; rm -rf /root/bin; rmdir /run/other-root/usr; rm -rf /run/other-root")
    assert (status, checks[name]["result"]) == (15, "failed"), [c for c in checks.values() if "why" in c]
    # the process that stands for the task's is nobody's
    also = ["processes-left"] if name == "task-overlay" else []
    assert [i for i, c in checks.items() if c["result"] == "failed"] == [name, *also]
    assert checks[name]["why"] and checks[name]["next"]
