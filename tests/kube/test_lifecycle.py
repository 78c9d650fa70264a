"""The life of a pod as the kubelet drives it: restarts, init containers, sidecars, probes, hooks, ends."""

import json

import pytest

from kube_cluster import WEB, container, pod, shell
from waiting import until

pytestmark = pytest.mark.full("each takes seconds; the decisive ones are in the submission set")
decisive = pytest.mark.submission("what every pod goes through")


def restarts(kube, name, kind="containerStatuses", container=None):
    return kube.status(name, container, kind)["restartCount"]


@decisive
def test_restart_policies(kube):
    kube.make(
        pod("always", shell("exit 0"), restartPolicy="Always"),
        pod("on-failure", shell("exit 3"), restartPolicy="OnFailure"),
        pod("on-failure-good", shell("exit 0"), restartPolicy="OnFailure"),
        pod("never", shell("exit 7")),
    )
    kube.phase("never", "Failed")
    kube.phase("on-failure-good", "Succeeded")
    assert kube.status("never")["state"]["terminated"]["exitCode"] == 7
    assert kube.status("never")["state"]["terminated"]["reason"] == "Error"
    assert restarts(kube, "never") == 0 and restarts(kube, "on-failure-good") == 0
    for name, code in (("always", 0), ("on-failure", 3)):
        until(lambda: restarts(kube, name) >= 1, limit=60, what=f"a restart of {name}")
        last = kube.status(name)
        assert (last["lastState"] or last["state"])["terminated"]["exitCode"] == code


@decisive
def test_a_command_that_is_not_there_is_named_to_the_user(kube):
    kube.make(pod("no-command", container("slurmd", "-D")))
    kube.wait("pod/no-command", "jsonpath={.status.containerStatuses[0].state.terminated}")
    ended = kube.status("no-command")["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "slurmd: not found; searched /usr/local/sbin:" in ended["message"]
    assert ended["message"] in kube.describe("pod/no-command") or "slurmd: not found" in kube.describe("pod/no-command")


def test_termination_messages(kube):
    kube.make(
        pod("message", shell("echo done > /dev/termination-log")),
        pod("custom", shell("echo mine > /dev/custom-log", terminationMessagePath="/dev/custom-log",
                            securityContext={"runAsUser": 1000})),
        pod("fallback", shell("echo cause >&2; exit 2", terminationMessagePolicy="FallbackToLogsOnError")),
        pod("no-fallback", shell("echo cause >&2", terminationMessagePolicy="FallbackToLogsOnError")),
    )  # fmt: skip
    expected = {"message": "done\n", "custom": "mine\n", "fallback": "cause\n", "no-fallback": None}
    for name, text in expected.items():
        kube.ended(name)
        assert kube.status(name)["state"]["terminated"].get("message") == text, name


@decisive
def test_init_containers_run_one_after_the_other(kube):
    mounts = [{"name": "work", "mountPath": "/work"}]
    kube.make(
        pod("init", shell("cat /work/log", volumeMounts=mounts),
            initContainers=[shell("echo one >> /work/log", name="one", volumeMounts=mounts),
                            shell("echo two >> /work/log", name="two", volumeMounts=mounts)],
            volumes=[{"name": "work", "emptyDir": {}}]),
        pod("init-fails", shell("echo never"), initContainers=[shell("exit 5", name="bad")]),
    )  # fmt: skip
    assert kube.ended("init") == (0, "one\ntwo\n")
    kube.phase("init-fails", "Failed")
    assert kube.status("init-fails", "bad", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 5
    assert "terminated" not in kube.status("init-fails")["state"]


def test_a_sidecar_starts_before_and_ends_after(kube):
    mounts = [{"name": "work", "mountPath": "/work"}]
    sidecar = shell("touch /work/up; trap 'echo sidecar ends; exit 0' TERM; while :; do sleep 1 & wait; done", name="side",
                    restartPolicy="Always", volumeMounts=mounts,
                    startupProbe={"exec": {"command": ["test", "-e", "/work/up"]}, "periodSeconds": 1})  # fmt: skip
    kube.make(pod("sidecar", shell("test -e /work/up && echo found", volumeMounts=mounts), initContainers=[sidecar],
                  terminationGracePeriodSeconds=10, volumes=[{"name": "work", "emptyDir": {}}]))  # fmt: skip
    kube.phase("sidecar", "Succeeded")
    assert kube.out("logs", "sidecar", "-c", "main") == "found\n"
    assert "sidecar ends" in kube.out("logs", "sidecar", "-c", "side")


@decisive
def test_debug_gives_a_shell_on_the_host_that_cannot_hurt_it(kube):
    kube.start("debugged")
    node = kube.node_of("debugged")
    hosts = node.path("/etc/debian_version").read_text()
    kube.kubectl("debug", "debugged", "--image=reaper.local/host:1", "--container=shell", "--target=main", "--attach=false",
                 "--profile=general", "--", "/bin/sh", "-c",
                 "cat /etc/os-release | head -1; echo broken > /etc/debian_version; rm -rf /usr/share/doc; ps -C sleep -o args=; exit 4")  # fmt: skip
    kube.wait("pod/debugged", "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated}")
    assert kube.status("debugged", "shell", "ephemeralContainerStatuses")["state"]["terminated"]["exitCode"] == 4
    seen = kube.out("logs", "debugged", "-c", "shell")
    assert node.path("/etc/os-release").read_text().splitlines()[0] in seen
    assert "sleep infinity" in seen, "--target shows the processes of that container"
    assert node.path("/etc/debian_version").read_text() == hosts
    assert node.path("/usr/share/doc").is_dir()


@decisive
def test_probes_of_a_command_and_of_http(kube):
    kube.make(
        pod("ready-later", shell("sleep 2; touch /tmp/ready-later; exec sleep infinity",
            readinessProbe={"exec": {"command": ["rm", "/tmp/ready-later"]}, "periodSeconds": 1, "failureThreshold": 1})),
        pod("not-live", shell("exec sleep infinity",
            livenessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}), restartPolicy="Always"),
        pod("web-probe", shell(WEB,
            readinessProbe={"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1},
            livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})),
    )  # fmt: skip
    kube.ready("ready-later")
    kube.ready("web-probe")
    until(lambda: restarts(kube, "not-live") >= 1, limit=60, what="the restart by the liveness probe")
    assert restarts(kube, "web-probe") == 0
    assert any("Liveness probe failed" in e for e in kube.events("not-live"))


def test_probes_of_tcp_grpc_and_start(kube):
    """containerd itself answers gRPC's health service, behind socat."""
    kube.make(
        pod("grpc", shell("exec socat TCP-LISTEN:9000,reuseaddr,fork UNIX-CONNECT:/host/containerd.sock",
            readinessProbe={"grpc": {"port": 9000}, "periodSeconds": 1},
            volumeMounts=[{"name": "run", "mountPath": "/host"}]),
            volumes=[{"name": "run", "hostPath": {"path": "/run/containerd"}}]),
        pod("no-port", shell("exec sleep infinity", readinessProbe={"tcpSocket": {"port": 9}, "periodSeconds": 1})),
        pod("slow-start", shell("sleep 3; touch /tmp/slow-start; exec sleep infinity",
            startupProbe={"exec": {"command": ["test", "-e", "/tmp/slow-start"]}, "periodSeconds": 1, "failureThreshold": 30},
            livenessProbe={"exec": {"command": ["test", "-e", "/tmp/slow-start"]}, "periodSeconds": 1, "failureThreshold": 1})),
    )  # fmt: skip
    kube.ready("grpc")
    kube.ready("slow-start")
    assert restarts(kube, "slow-start") == 0
    until(lambda: any("Readiness probe failed" in e for e in kube.events("no-port")), what="the failing probe's event")
    assert not kube.status("no-port")["ready"]


def test_hooks(kube):
    mounts = [{"name": "work", "mountPath": "/work"}]
    volume = {"name": "work", "hostPath": {"path": "/var/lib/reaper-kube-hooks", "type": "DirectoryOrCreate"}}
    lifecycle = {
        "postStart": {"exec": {"command": ["/bin/sh", "-c", "echo started > /work/post-start"]}},
        "preStop": {"exec": {"command": ["/bin/sh", "-c", "echo stopped > /work/pre-stop"]}},
    }
    kube.start("hook-server", WEB)
    address = kube.get("pod", "hook-server")["status"]["podIP"]
    kube.make(
        pod("hooks", shell("exec sleep infinity", lifecycle=lifecycle, volumeMounts=mounts), volumes=[volume]),
        pod("http-hook", shell("exec sleep infinity",
            lifecycle={"postStart": {"httpGet": {"host": address, "port": 8080, "path": "/"}}})),
        pod("bad-hook", shell("exec sleep infinity", lifecycle={"postStart": {"exec": {"command": ["false"]}}})),
    )  # fmt: skip
    kube.ready("hooks")
    kube.ready("http-hook")
    node = kube.node_of("hooks")
    directory = node.path("/var/lib/reaper-kube-hooks")
    assert (directory / "post-start").read_text() == "started\n"
    kube.kubectl("delete", "pod", "hooks")
    assert (directory / "pre-stop").read_text() == "stopped\n"
    until(lambda: any("PostStartHook" in e for e in kube.events("bad-hook")), what="the failed hook's event")
    node.run("rm", "-r", "/var/lib/reaper-kube-hooks")


@decisive
def test_a_deleted_pod_gets_its_signal_and_takes_its_children_with_it(kube):
    """Daemons that leave their session end with the pod too."""
    mounts = [{"name": "work", "mountPath": "/work"}]
    volume = {"name": "work", "hostPath": {"path": "/var/lib/reaper-kube-term", "type": "DirectoryOrCreate"}}
    script = ("setsid -f sleep 86321; setsid sh -c 'setsid -f sleep 86322'; "
              "trap 'echo caught > /work/signal; exit 0' TERM; while :; do sleep 1 & wait; done")  # fmt: skip
    kube.make(pod("term", shell(script, volumeMounts=mounts), volumes=[volume], terminationGracePeriodSeconds=20))
    kube.ready("term")
    node = kube.node_of("term")
    until(lambda: len(node.run("pgrep", "-f", "^sleep 8632", check=False).stdout.split()) == 2, what="the daemons")
    kube.kubectl("delete", "pod", "term")
    assert node.path("/var/lib/reaper-kube-term/signal").read_text() == "caught\n"
    assert node.run("pgrep", "-f", "^sleep 8632", check=False).stdout == ""
    node.run("rm", "-r", "/var/lib/reaper-kube-term")


def test_a_pod_that_ignores_its_signal_is_killed_after_its_grace(kube):
    kube.start("stubborn", "trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=2)
    kube.kubectl("delete", "pod", "stubborn", timeout=60)
    assert kube.kubectl("get", "pod", "stubborn", check=False).returncode != 0


def test_a_deadline_ends_the_pod(kube):
    kube.make(pod("deadline", shell("exec sleep infinity"), activeDeadlineSeconds=3))
    kube.phase("deadline", "Failed")
    assert kube.get("pod", "deadline")["status"]["reason"] == "DeadlineExceeded"


def test_job_with_a_retry(kube):
    template = pod("x", shell('test "$JOB_COMPLETION_INDEX" = 1 && echo second || echo first'), labels={"job": "yes"})
    spec = {"completions": 2, "completionMode": "Indexed", "template": {"metadata": template["metadata"], "spec": template["spec"]}}
    kube.make({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "two"}, "spec": spec})
    kube.wait("job/two", "condition=Complete")
    logs = kube.out("logs", "-l", "job-name=two")
    assert sorted(logs.split()) == ["first", "second"]


def test_daemon_set_rolls_out(kube):
    def daemon_set(word):
        template = pod("x", shell(f"echo {word}; exec sleep infinity"), restartPolicy="Always", labels={"app": "everywhere"})
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "everywhere"},
                "spec": {"selector": {"matchLabels": {"app": "everywhere"}},
                         "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
                         "template": {"metadata": template["metadata"], "spec": template["spec"]}}}  # fmt: skip

    kube.make(daemon_set("first"))
    kube.kubectl("rollout", "status", "daemonset/everywhere", "--timeout=60s")
    kube.apply(daemon_set("second"))
    kube.kubectl("rollout", "status", "daemonset/everywhere", "--timeout=60s")
    items = json.loads(kube.out("get", "pods", "-l", "app=everywhere", "--field-selector=status.phase=Running", "-o", "json"))["items"]
    running = [item for item in items if not item["metadata"].get("deletionTimestamp")]
    assert {item["spec"]["nodeName"] for item in running} == {node.name for node in kube.workers}
    for item in running:
        assert kube.out("logs", item["metadata"]["name"]) == "second\n"
