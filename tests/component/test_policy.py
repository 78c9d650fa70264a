"""The node's policy: what a start and an exec are refused for, and what is forced on them."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from bench import exec_spec, spec
from machine import BINARIES
from running import plain_pod, said
from ttrpc import INVALID, PERMISSION, PRECONDITION, RpcError

pytestmark = pytest.mark.submission("who may run what on a node; milliseconds")

DIRECTORY = pathlib.Path("/etc/reaper/policy.d")
LAB = {"annotations": {"io.kubernetes.cri.sandbox-namespace": "lab", "io.kubernetes.cri.sandbox-name": "web-0"}}
STATUS = "grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapBnd|CapEff):' /proc/self/status"


@pytest.fixture
def policy():
    """The node's directory, empty; the node's own is back afterwards."""
    missing = [p for p in (DIRECTORY, DIRECTORY.parent) if not p.exists()]
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "reaper-policy", DIRECTORY], check=True)
    try:
        yield DIRECTORY
    finally:
        subprocess.run(["umount", DIRECTORY], check=True)
        for path in missing:
            path.rmdir()


def write(directory, text, name="10-site.conf"):
    file = directory / name
    file.write_text(text)
    file.chmod(0o644)
    return file


def refused(bench, text, code, *mounts, **changes):
    with pytest.raises(RpcError, match=text) as raised:
        said(bench, "echo ran", *mounts, **changes)
    assert raised.value.code == code


def test_no_rule_is_as_kubernetes_says(bench, policy):
    assert said(bench, "echo ran") == "ran\n"


def test_a_refusal_names_file_line_and_message(bench, policy):
    write(policy, "# site\n\n[deny]\nnamespace=lab\nmessage=\"ask ops@example.org\"\n")
    text = f"{DIRECTORY}/10-site.conf:3: this node's policy denies /bin/sh: ask ops@example.org"
    refused(bench, re.escape(text), PERMISSION, **LAB)
    assert said(bench, "echo ran", name="two") == "ran\n"  # not started by Kubernetes


def test_the_first_rule_that_decides_counts(bench, policy):
    write(policy, "[deny]\nnamespace=*\n", "20-all.conf")
    refused(bench, "20-all.conf:1: ", PERMISSION, **LAB)
    write(policy, "[allow]\npod=web-*\n", "10-web.conf")
    assert said(bench, "echo ran", name="two", **LAB) == "ran\n"


@pytest.mark.parametrize("bits", ["0664", "0646"])
def test_no_pod_starts_with_a_policy_that_others_may_write(bench, policy, bits):
    write(policy, "[allow]\n").chmod(int(bits, 8))
    refused(bench, f"{DIRECTORY}/10-site.conf: others than its owner may write it", PRECONDITION)


def test_no_pod_starts_with_somebody_elses_policy(bench, policy):
    os.chown(write(policy, "[allow]\n"), 1000, 0)
    refused(bench, f"{DIRECTORY}/10-site.conf: belongs to uid 1000", PRECONDITION)


def test_no_pod_starts_with_half_a_policy(bench, policy):
    write(policy, "[allow]\n")
    write(policy, "[deny]\nuids=0\n", "20-broken.conf")
    refused(bench, f"{DIRECTORY}/20-broken.conf:2: uids: no rule has such a key", INVALID)


def test_what_is_forced_is_what_the_process_has(bench, policy):
    before = said(bench, STATUS, **plain_pod())
    assert "Uid:\t0\t0\t0\t0" in before and "NoNewPrivs:\t0" in before
    write(policy, "[force]\nuser=41001:41002\nno_new_privileges=true\ndrop_capabilities=CAP_CHOWN CAP_KILL\n")
    after = said(bench, STATUS, name="two", **plain_pod())
    assert "Uid:\t41001\t41001\t41001\t41001" in after
    assert "Gid:\t41002\t41002\t41002\t41002" in after
    assert re.search(r"^Groups:\s*$", after, re.M)
    assert "NoNewPrivs:\t1" in after

    def bounding(text):
        return int(re.search(r"^CapBnd:\t(\w+)", text, re.M).group(1), 16)

    assert bounding(after) == bounding(before) & ~(1 << 0 | 1 << 5) != bounding(before)


def test_forced_private_mounts_neither_come_nor_go(bench, policy):
    def propagation(name):
        first = said(bench, "grep -m1 ' / / ' /proc/self/mountinfo", name=name)
        return re.search("(shared|master):", first)

    assert propagation("one")
    write(policy, "[force]\nmounts=private\n")
    assert not propagation("two")


def test_an_exec_is_asked_for_too(bench, policy):
    write(policy, "[force]\nno_new_privileges=true\n[deny]\ncommand=true\n")
    c = bench.container("/bin/sleep", "600")
    c.create()
    c.call("Start")
    assert "NoNewPrivs:\t1" in pathlib.Path(f"/proc/{c.call('State').pid}/status").read_text()
    c.call("Exec", exec_id="denied", spec=exec_spec("/bin/true"))
    with pytest.raises(RpcError, match="10-site.conf:3: this node's policy denies /bin/true"):
        c.call("Start", exec_id="denied")
    c.call("Delete", exec_id="denied")
    c.call("Exec", exec_id="allowed", spec=exec_spec("/bin/false"))
    c.call("Start", exec_id="allowed")
    assert c.call("Wait", exec_id="allowed").exit_status == 1
    c.call("Delete", exec_id="allowed")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


# ---- reaperctl policy ----

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "lab"},
    "spec": {
        "hostNetwork": True,
        "securityContext": {"runAsUser": 1000},
        "initContainers": [{"name": "first", "command": ["/usr/bin/rm", "-rf"]}],
        "containers": [
            {"name": "plain", "args": ["sleep"]},
            {"name": "strong", "command": ["sh"], "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
            {"name": "root", "command": ["sh"], "securityContext": {"privileged": True, "runAsUser": 0}},
        ],
    },
}


def reaperctl(tree, command, *arguments, **options):
    program = BINARIES / "reaperctl"
    return subprocess.run(
        [program, "policy", command, "--root", tree, *arguments], capture_output=True, text=True, **options
    )


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "etc/reaper/policy.d").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("rule", "denied"),
    [
        ("namespace=lab", ["first", "plain", "strong", "root"]),
        ("host=net", ["first", "plain", "strong", "root"]),
        ("host=pid", []),
        ("command=rm", ["first"]),
        ("uid=0", ["root"]),
        ("privileged=true", ["root"]),
        ("capability=CAP_SYS_ADMIN", ["strong", "root"]),
        ("capability=CAP_CHOWN", ["first", "plain", "strong", "root"]),
    ],
)
def test_a_pod_can_be_tested(tree, rule, denied):
    write(tree / "etc/reaper/policy.d", f"[deny]\n{rule}\n")
    done = reaperctl(tree, "test", input=json.dumps(POD))  # no word: standard input
    assert done.returncode == (1 if denied else 0), done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines() if ": denied: " in line] == denied
    assert len(done.stdout.splitlines()) == 4


MANIFEST = """# as people write it
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: lab}
spec:
  hostNetwork: true
  securityContext:
    runAsUser: 1000
  initContainers:
  - name: first
    command: ["/usr/bin/rm", -rf]
  containers:
    - name: plain
      args: [sleep]
    - name: strong
      command:
      - sh
      - -c
      - |
        echo "a: b"   # no comment

        exec sleep 1
      securityContext: {capabilities: {add: [SYS_ADMIN]}}
    - name: root
      command: ['sh']
      securityContext:
        privileged: true
        runAsUser: 0
"""


@pytest.mark.parametrize("rule", ["namespace=lab", "host=net", "command=rm", "uid=0", "privileged=true", "capability=CAP_SYS_ADMIN"])
def test_a_manifest_is_the_same_pod(tree, rule):
    write(tree / "etc/reaper/policy.d", f"[deny]\n{rule}\n")
    file = tree / "pod.yaml"
    file.write_text(MANIFEST)
    of_yaml, of_json = reaperctl(tree, "test", file), reaperctl(tree, "test", "-", input=json.dumps(POD))
    assert of_yaml.stdout == of_json.stdout and (of_yaml.returncode, of_yaml.stderr) == (1, ""), of_yaml.stderr
    assert len(of_yaml.stdout.splitlines()) == 4


def test_a_pod_in_a_file_and_what_would_be_forced(tree):
    file = tree / "pod.json"
    file.write_text(json.dumps(POD))
    write(tree / "etc/reaper/policy.d", "[force]\npod=web-*\nuser=5:6\nno_new_privileges=true\nmounts=private\n[allow]\n")
    done = reaperctl(tree, "test", file)
    rules = f"{tree}/etc/reaper/policy.d/10-site.conf"
    assert done.stdout.splitlines()[1] == f"plain: allowed ({rules}:6), as user 5:6 ({rules}:1), with no new privileges, with private mounts"


def test_each_pod_of_a_file_is_tested(tree):
    file = tree / "all.yaml"
    file.write_text(f"kind: RuntimeClass\nhandler: reaper-v2\n---\n{MANIFEST}---\n{MANIFEST.replace('web-0', 'web-1')}")
    write(tree / "etc/reaper/policy.d", "[deny]\npod=web-1\n")
    done = reaperctl(tree, "test", file)
    assert [": denied: " in line for line in done.stdout.splitlines()] == [False] * 4 + [True] * 4
    assert done.returncode == 1 and done.stderr == f"reaperctl: policy: {file}: kind RuntimeClass: not tested\n"


@pytest.mark.parametrize("text, error", [
    ("kind: Pod\nmetadata: &m {}\n", "2: & is not known in this place; a text that begins with it stands in quotes; or as JSON: kubectl create "
     "-f POD.yaml --dry-run=client -o json | reaperctl policy test -"),
    ("kind: Pod\nspec:\n  hostPID: yes\n", "3: yes: a text for some readers and none for others: put it in quotes, or write true, false or a "
     "decimal number; or as JSON: kubectl create -f POD.yaml --dry-run=client -o json | reaperctl policy test -"),
    ("kind: Pod\nspec:\n  hostPID: 'true'\n", " spec.hostPID: expected true or false, got a string"),
    ("kind: Pod\n", " a pod has a spec"),
    ("kind: Service\n", " kind Service: only a Pod can be tested"),
    ("# nothing\n", " no pod with containers"),
    ("a: b\n", " no kind, so no pod; a bundle is given as its config.json, without --root"),
])  # fmt: skip
def test_what_is_no_pod_is_told(tree, text, error):
    file = tree / "pod.yaml"
    file.write_text(text)
    done = reaperctl(tree, "test", file)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"reaperctl: policy: {file}:{error}\n")


def test_a_bundle_is_what_the_runtime_plans(bench, policy):
    """Its plan, with what is forced; and the refusal that a start would end in."""
    bundle = bench.make_bundle("one", spec("/bin/sh"))

    def test():
        return subprocess.run([f"{BINARIES}/reaperctl", "policy", "test", bundle / "config.json"], capture_output=True, text=True,
                              env={**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}"})  # fmt: skip

    write(policy, "[force]\nuser=41001:41002\n")
    done = test()
    assert done.returncode == 0 and "user: 41001:41002, 0 further groups\n" in done.stdout, done.stderr
    write(policy, "[deny]\ncommand=sh\n")
    done = test()
    assert done.returncode != 0 and done.stdout == ""
    assert f"{DIRECTORY}/10-site.conf:1: this node's policy denies /bin/sh" in done.stderr


def test_a_broken_policy_is_told(tree):
    assert reaperctl(tree, "check").stdout == "0 rules\n"
    write(tree / "etc/reaper/policy.d", "[force]\nno_new_privileges=true\n[deny]\nmessage=no\n")
    assert reaperctl(tree, "check").stdout == "2 rules\n"
    assert [line.split()[0] for line in reaperctl(tree, "list").stdout.splitlines()] == ["force", "deny"]
    write(tree / "etc/reaper/policy.d", "[deny]\nuid=x\n")
    for command in ("check", "list", "test"):
        done = reaperctl(tree, command, input=json.dumps(POD))
        assert done.returncode == 1
        assert '/10-site.conf:2: uid: "x": must be numbers and ranges' in done.stderr
