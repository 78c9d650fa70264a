"""Pods through CRI on containerd 1.6, 1.7 and 2.1, as a kubelet runs them."""

import json

import pytest

from cri import CriError
from installed import GREETING, example, make_pod
from waiting import until

pytestmark = pytest.mark.submission("what a kubelet does with every pod; each takes a second or two")


def test_example_pod_from_run_to_remove(node, pods):
    pod, container = make_pod(pods, example())
    assert pod.state(container) == "CONTAINER_CREATED"
    pods.cri.start_container(container)
    until(lambda: GREETING in pod.output(container))
    assert pod.wait(container) == 0
    pods.cri.remove_container(container)
    pods.cri.stop_pod_sandbox(pod.id)
    assert pods.cri.pod_sandbox_status(pod.id).status.state == "SANDBOX_NOTREADY"
    pods.cri.remove_pod_sandbox(pod.id)
    assert pod.id not in [p.id for p in pods.cri.call("ListPodSandbox")["items"]]


def test_one_shim_serves_the_whole_pod(node, pods):
    pod = pods.sandbox()
    pod.start("/bin/sleep", "600")
    pod.start("/bin/sleep", "600")
    assert len(node.shims()) == 1


def test_logs_of_both_streams_and_the_exit_code(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sh", "-c", "echo out; echo err >&2; exit 9")
    assert pod.wait(container) == 9
    assert pod.output(container) == "out\n"
    assert pod.output(container, "stderr") == "err\n"


def test_exec_gives_streams_and_code(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sleep", "600")
    assert pod.exec(container, "/bin/sh", "-c", "echo o; echo e >&2; exit 3") == (3, "o\n", "e\n")


def test_exec_of_a_missing_command_is_an_error_and_the_pod_lives_on(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sleep", "600")
    with pytest.raises(CriError, match="no-such-command"):
        pod.exec(container, "no-such-command")
    assert pod.state(container) == "CONTAINER_RUNNING"


def test_a_time_out_of_exec_ends_all_that_it_started(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sleep", "600")
    with pytest.raises(CriError, match="timeout|timed out"):
        pods.cri.exec_sync(container, ["/bin/sh", "-c", "sleep 601 & sleep 601"], 1)
    count = ("/bin/sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 60[1]' | wc -l")
    until(lambda: pod.exec(container, *count)[1].strip() == "0")
    assert pod.state(container) == "CONTAINER_RUNNING"


def test_missing_command_is_an_error_of_start(node, pods):
    pod = pods.sandbox()
    container = pod.create("no-such-command")
    with pytest.raises(CriError, match="no-such-command.*searched /"):
        pods.cri.start_container(container)
    # what `kubectl describe` shows of it
    status = pods.cri.container_status(container)
    assert (status.state, status.exit_code, status.reason) == ("CONTAINER_EXITED", 128, "StartError")
    assert "no-such-command: not found; searched /" in status.message


def test_stop_sends_term_first(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sh", "-c", "trap 'echo got-term; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: "ready" in pod.output(container))
    pods.cri.stop_container(container, 30)
    assert pods.cri.container_status(container).exit_code == 5
    assert "got-term" in pod.output(container)


def test_stop_kills_what_ignores_term(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: "ready" in pod.output(container))
    pods.cri.stop_container(container, 1)
    assert pods.cri.container_status(container).exit_code == 137


def test_terminal(node, pods):
    pod = pods.sandbox()
    code, output = pod.run("/bin/sh", "-c", "test -t 0 && test -t 1 && echo terminal", tty=True, stdin=True)
    assert (code, output.replace("\r", "")) == (0, "terminal\n")


def test_pod_with_a_network_of_its_own(node, pods):
    pod = pods.sandbox(host_network=False)
    status = pods.cri.pod_sandbox_status(pod.id).status
    assert status.network.ip.startswith("10.87.0.")
    container = pod.start("/bin/sleep", "600")
    code, addresses, _ = pod.exec(container, "/usr/sbin/ip", "-o", "-4", "address", "show", "dev", "eth0")
    assert code == 0
    assert f"inet {status.network.ip}/24" in addresses
    # both containers of a pod meet on its loopback
    other = pod.start("/bin/sleep", "600")
    links = [pod.exec(c, "/bin/readlink", "/proc/self/ns/net")[1] for c in (container, other)]
    assert links[0] == links[1]
    assert links[0].strip() != (node.path("/proc/1/ns/net")).readlink().name


def test_pod_with_the_hosts_network(node, pods):
    pod = pods.sandbox(host_network=True)
    code, link = pod.run("/bin/readlink", "/proc/self/ns/net")
    assert (code, link.strip()) == (0, node.run("readlink", "/proc/1/ns/net").stdout.strip())


def test_hostname_of_the_pod(node, pods):
    pod = pods.sandbox(host_network=False)
    assert pod.run("/bin/sh", "-c", "cat /proc/sys/kernel/hostname; cat /etc/hostname") == (0, "pod0\npod0\n")
    assert node.run("hostname").stdout.strip() == node.name


def test_volumes_at_the_same_path_are_private_to_their_pods(node, pods):
    """Service account tokens: each pod has its own at one path, read-only."""
    target = "/var/run/secrets/kubernetes.io/serviceaccount"
    containers = []
    for number in range(2):
        source = f"{node.empty}/token{number}"
        node.path(source).mkdir()
        node.path(source).joinpath("token").write_text(f"token {number}\n")
        pod = pods.sandbox()
        mounts = [{"container_path": target, "host_path": source, "readonly": True}]
        containers.append((pod, pod.start("/bin/sleep", "600", mounts=mounts)))
    for number, (pod, container) in enumerate(containers):
        assert pod.exec(container, "/bin/cat", f"{target}/token") == (0, f"token {number}\n", "")
        code, _, error = pod.exec(container, "/bin/sh", "-c", f"echo x > {target}/token")
        assert code != 0 and "ead-only" in error
    assert not node.path(target).exists()


def test_files_that_kubelet_writes_are_bound_over_the_view(node, pods):
    """/etc/hosts and the termination log are mounts; /etc/resolv.conf is containerd's."""
    for name, text in (("hosts", "127.0.0.1 bound-hosts\n"), ("term", "")):
        node.path(f"{node.empty}/{name}").write_text(text)
    pod = pods.sandbox(
        host_network=False, dns_config={"servers": ["10.96.0.10"], "searches": ["default.svc.cluster.local"]}
    )
    mounts = [
        {"container_path": "/etc/hosts", "host_path": f"{node.empty}/hosts"},
        {"container_path": "/dev/termination-log", "host_path": f"{node.empty}/term"},
    ]
    before = node.path("/etc/hosts").read_text()
    code, output = pod.run(
        "/bin/sh", "-c", "cat /etc/hosts /etc/resolv.conf; echo the end > /dev/termination-log", mounts=mounts
    )
    assert code == 0
    assert "bound-hosts" in output
    assert "10.96.0.10" in output
    assert "default.svc.cluster.local" in output
    assert node.path(f"{node.empty}/term").read_text() == "the end\n"
    assert node.path("/etc/hosts").read_text() == before


def test_a_volume_is_written_through(node, pods):
    node.path(f"{node.empty}/volume").mkdir(exist_ok=True)
    pod = pods.sandbox()
    mounts = [{"container_path": "/data", "host_path": f"{node.empty}/volume"}]
    assert pod.run("/bin/sh", "-c", "echo kept > /data/file", mounts=mounts) == (0, "")
    assert node.path(f"{node.empty}/volume/file").read_text() == "kept\n"
    assert not node.path("/data").exists()


def test_a_write_is_seen_by_the_next_pod_and_not_on_the_host(node, pods):
    first = pods.sandbox()
    assert first.run("/bin/sh", "-c", "echo x > /etc/reaper-was-here") == (0, "")
    second = pods.sandbox()
    assert second.run("/bin/cat", "/etc/reaper-was-here") == (0, "x\n")
    assert not node.path("/etc/reaper-was-here").exists()


def test_user_group_and_capabilities_are_honoured(node, pods):
    pod = pods.sandbox()
    code, output = pod.run(
        "/bin/sh", "-c", "id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status",
        security={"run_as_user": {"value": 1234}, "run_as_group": {"value": 2345}, "no_new_privs": True,
                  "capabilities": {"drop_capabilities": ["ALL"]}},
    )  # fmt: skip
    assert code == 0
    assert output.split() == ["1234", "2345", "CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_environment_and_working_directory(node, pods):
    pod = pods.sandbox()
    code, output = pod.run(
        "/bin/sh", "-c", "echo $WHO; pwd", envs=[{"key": "WHO", "value": "pod"}], working_dir="/usr/lib"
    )
    assert (code, output) == (0, "pod\n/usr/lib\n")


def test_the_workload_is_in_the_cgroup_that_cri_names(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sleep", "600")
    info = json.loads(pods.cri.call("ContainerStatus", container_id=container, verbose=True).info["info"])
    wanted = info["runtimeSpec"]["linux"]["cgroupsPath"]
    own = node.path(f"/proc/{info['pid']}/cgroup").read_text()
    lines = [line.split(":", 2) for line in own.splitlines()]
    assert any(path.endswith(wanted) for _, _, path in lines), own


def test_restart_of_containerd_keeps_the_pod(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sh", "-c", "trap 'exit 21' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: "ready" in pod.output(container))
    before = node.shims()
    node.restart_containerd()
    assert node.shims() == before
    assert pod.state(container) == "CONTAINER_RUNNING"
    assert pod.exec(container, "/bin/echo", "still here")[:2] == (0, "still here\n")
    pods.cri.stop_container(container, 30)
    assert pods.cri.container_status(container).exit_code == 21


def test_removing_a_running_pod_ends_everything_in_it(node, pods):
    pod = pods.sandbox()
    pod.start("/bin/sh", "-c", "sleep 607 & sleep 608 & wait")
    pod.start("/bin/sleep", "609")
    pod.remove()
    until(lambda: not node.shims())
