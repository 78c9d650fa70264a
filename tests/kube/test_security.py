"""securityContext field by field, and resources: what the pod says is what the process has."""

import json

import pytest

from kube_cluster import pod, shell
from waiting import until

pytestmark = pytest.mark.full("each takes seconds; the decisive ones are in the submission set")
decisive = pytest.mark.submission("a host process that has more than its pod says is a hole")

STATUS = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status"


def fields(text):
    return dict(line.split(":", 1) for line in text.replace("\t", "").splitlines() if ":" in line)


@decisive
def test_users_and_groups(kube):
    kube.make(
        pod("plain", shell("id -u; id -g; id -G")),
        pod("user", shell("id -u; id -g; id -G; umask", securityContext={"runAsUser": 1234, "runAsGroup": 2345}),
            securityContext={"supplementalGroups": [77, 88], "fsGroup": 99}),
        pod("not-root", shell("true", securityContext={"runAsNonRoot": True})),
    )  # fmt: skip
    _, text = kube.ended("plain")
    assert text.split()[:2] == ["0", "0"]
    # only what the image's user has: none of the groups that containerd's own process is in
    assert set(text.split()[2:]) <= {"0"}
    _, text = kube.ended("user")
    assert text.split()[:2] == ["1234", "2345"]
    assert set(text.split()[2:-1]) == {"2345", "77", "88", "99"}
    until(lambda: any("runAsNonRoot" in e for e in kube.events("not-root")), what="the refusal")


@decisive
def test_exec_has_the_identity_of_its_container(kube):
    kube.make(pod("exec-user", shell("exec sleep infinity", securityContext={
        "runAsUser": 1234, "runAsGroup": 2345, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}})))  # fmt: skip
    kube.ready("exec-user")
    text = kube.exec("exec-user", "sh", "-c", f"id -u; id -g; {STATUS}; cat /proc/self/cgroup").stdout
    found = fields(text)
    assert text.split()[:2] == ["1234", "2345"]
    assert (found["CapEff"], found["CapBnd"], found["NoNewPrivs"], found["Seccomp"]) == ("0" * 16, "0" * 16, "1", "2")
    uid = kube.get("pod", "exec-user")["metadata"]["uid"]
    assert uid.replace("-", "_") in text or uid in text


def test_capabilities_and_escalation(kube):
    kube.make(
        pod("default", shell(STATUS)),
        pod("no-caps", shell(STATUS + "; chown 1 /tmp/no-caps 2>&1 || ip link add x type dummy 2>&1",
                             securityContext={"capabilities": {"drop": ["ALL"]}})),
        pod("one-cap", shell(STATUS, securityContext={"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}})),
        pod("privileged", shell(STATUS + "; test -b /dev/vda -o -b /dev/sda -o -c /dev/kmsg && echo devices",
                                securityContext={"privileged": True})),
    )  # fmt: skip
    effective = {name: fields(kube.ended(name)[1]) for name in ("default", "no-caps", "one-cap", "privileged")}
    assert effective["default"]["CapEff"] == "00000000a80425fb"
    assert effective["no-caps"]["CapEff"] == "0" * 16
    assert int(effective["one-cap"]["CapEff"], 16) == 1 << 12
    assert int(effective["privileged"]["CapEff"], 16) & (1 << 21), "SYS_ADMIN"
    assert "devices" in kube.out("logs", "privileged")
    assert "ermitted" in kube.out("logs", "no-caps") or "cannot access" in kube.out("logs", "no-caps")


@decisive
def test_a_read_only_root(kube):
    kube.make(pod("read-only", shell("for d in / /usr /etc /var /tmp /run; do touch $d/x 2>/dev/null && echo wrote $d; done; "
                                     "touch /work/x && echo volume", securityContext={"readOnlyRootFilesystem": True},
                                     volumeMounts=[{"name": "w", "mountPath": "/work"}]), volumes=[{"name": "w", "emptyDir": {}}]))  # fmt: skip
    assert kube.ended("read-only") == (0, "volume\n")


@decisive
def test_writes_never_reach_the_host(kube):
    node = kube.workers[0]
    kube.make(pod("writes", shell("echo x > /etc/reaper-was-here; rm -f /etc/debian_version; mkdir /usr/reaper-was-here; "
                                  "cat /etc/reaper-was-here; ls /etc/debian_version 2>&1 | grep -c 'No such'"), nodeName=node.name))  # fmt: skip
    assert kube.ended("writes") == (0, "x\n1\n")
    assert not node.path("/etc/reaper-was-here").exists() and not node.path("/usr/reaper-was-here").exists()
    assert node.path("/etc/debian_version").exists()


@decisive
def test_limits_are_those_of_the_pod(kube):
    limits = {"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"memory": "32Mi", "cpu": "100m"}}
    read = ("d=/sys/fs/cgroup; cat $d/memory/memory.limit_in_bytes $d/cpu/cpu.cfs_quota_us $d/cpu/cpu.shares 2>/dev/null "
            "|| cat $d/memory.max $d/cpu.max $d/cpu.weight")  # fmt: skip
    kube.make(pod("limits", shell(read, resources=limits)))
    code, text = kube.ended("limits")
    assert code == 0, text
    assert text.split()[:2] in (["67108864", "50000"], ["67108864", "50000 100000".split()[0]])


def test_too_much_memory_is_told(kube):
    kube.make(pod("hungry", shell("exec tail /dev/zero", resources={"limits": {"memory": "32Mi"}})))
    kube.ended("hungry")
    ended = kube.status("hungry")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_quality_of_service_decides_the_oom_score(kube):
    kube.make(
        pod("best-effort", shell("cat /proc/self/oom_score_adj")),
        pod("burstable", shell("cat /proc/self/oom_score_adj", resources={"requests": {"memory": "32Mi"}})),
    )
    assert kube.ended("best-effort") == (0, "1000\n")
    code, text = kube.ended("burstable")
    assert code == 0 and 2 < int(text) < 1000
    assert kube.get("pod", "burstable")["status"]["qosClass"] == "Burstable"


def test_resize_in_place(kube):
    kube.make(pod("resize", shell("exec sleep infinity", resources={"limits": {"memory": "64Mi", "cpu": "200m"}})))
    kube.ready("resize")
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "96Mi", "cpu": "400m"},
                                                                      "requests": {"memory": "96Mi", "cpu": "400m"}}}]}}  # fmt: skip
    kube.kubectl("patch", "pod", "resize", "--subresource=resize", "--patch", json.dumps(patch))
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    until(lambda: kube.exec("resize", "sh", "-c", read).stdout.strip() == str(96 << 20), limit=60, what="the new limit")
    assert kube.status("resize")["restartCount"] == 0


def summary(kube, node):
    return json.loads(kube.out("get", "--raw", f"/api/v1/nodes/{node.name}/proxy/stats/summary"))


@decisive
def test_statistics_of_a_host_process(kube):
    """What `kubectl top` and eviction read."""
    kube.start("counted", "dd if=/dev/zero of=/dev/shm/x bs=1M count=8 2>/dev/null; i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; "
                          "exec sleep infinity")  # fmt: skip
    node = kube.node_of("counted")

    def known():
        found = [p for p in summary(kube, node)["pods"] if p["podRef"]["name"] == "counted"]
        if not found or not found[0].get("containers"):
            return None
        each = found[0]["containers"][0]
        return each if each.get("memory", {}).get("workingSetBytes") and each.get("cpu", {}).get("usageCoreNanoSeconds") else None

    each = until(known, limit=60, what="the statistics")
    assert each["name"] == "main"
    assert each["cpu"]["usageCoreNanoSeconds"] > 10_000_000
    assert 1 << 16 < each["memory"]["workingSetBytes"] < 256 << 20


def test_too_many_files_of_its_own_evict_a_pod(kube):
    """emptyDir is counted by the kubelet itself; it evicts by its own clock, once in ten seconds."""
    kube.make(pod("fills", shell("dd if=/dev/zero of=/w/big bs=1M count=20 2>/dev/null; exec sleep infinity",
                                 volumeMounts=[{"name": "w", "mountPath": "/w"}]), volumes=[{"name": "w", "emptyDir": {"sizeLimit": "5Mi"}}]))  # fmt: skip
    kube.phase("fills", "Failed", limit=180)
    assert kube.get("pod", "fills")["status"]["reason"] == "Evicted"


def test_what_cannot_be_honoured_is_refused(kube):
    kube.make(pod("user-namespace", shell("true"), hostUsers=False))
    until(lambda: [e for e in kube.events("user-namespace") if "user namespace" in e.lower() or "userns" in e.lower()], limit=60,
          what="the refusal of hostUsers: false")  # fmt: skip
