"""A host process in the namespaces of its pod: what the spec says, what the site forces, and no sysctl of the node."""

import os
import pathlib
import subprocess

import pytest

from bench import spec
from running import Running, said
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("Services and probes reach a pod by its own network; each takes milliseconds")

HOLD = "echo ready; exec sleep 600"
KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "net": "network"}


def linux(*types, sysctl=None, **paths):
    namespaces = [{"type": t} for t in ("mount", *types)] + [{"type": t, "path": p} for t, p in paths.items()]
    return {**spec("x")["linux"], "namespaces": namespaces, **({"sysctl": sysctl} if sysctl else {})}


def own(pid):
    return {k: os.readlink(f"/proc/{pid}/ns/{k}") for k in KINDS}


@pytest.fixture
def sandbox():
    """Namespaces of a pod, by path, as a pause container keeps them."""
    holder = subprocess.Popen(["unshare", "--net", "--ipc", "--uts", "sh", "-c", "ip link set lo up; exec sleep 600"])
    until(lambda: pathlib.Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
    yield {kind: f"/proc/{holder.pid}/ns/{file}" for file, kind in KINDS.items() if file != "pid"}
    holder.kill()
    holder.wait()


def test_each_namespace_is_the_hosts_or_not_as_the_spec_says(bench):
    host = own(os.getpid())
    pod = Running(bench, HOLD, linux=linux("pid", "ipc", "uts", "network"))
    pod.line()
    assert all(own(pod.pid)[k] != host[k] for k in KINDS)
    pod.kill()
    pod = Running(bench, HOLD, linux=linux(), name="two")
    pod.line()
    assert own(pod.pid) == host
    pod.kill()


def test_a_container_joins_its_pods_namespaces(bench, sandbox):
    pod = Running(bench, HOLD, linux=linux("pid", **sandbox))
    pod.line()
    for file, kind in KINDS.items():
        if file != "pid":
            assert os.readlink(f"/proc/{pod.pid}/ns/{file}") == os.readlink(sandbox[kind])
    pod.kill()


@pytest.mark.parametrize("forced", ["pid", "ipc", "uts", "net", "pid ipc uts net"])
def test_the_site_can_force_the_hosts(bench, monkeypatch, forced):
    """As the version in Rust did it for all pods."""
    monkeypatch.setenv("REAPER_HOST_NAMESPACES", forced)
    host = own(os.getpid())
    pod = Running(bench, HOLD, linux=linux("pid", "ipc", "uts", "network"))
    pod.line()
    mine = own(pod.pid)
    pod.kill()
    assert {k for k in KINDS if mine[k] == host[k]} == set(forced.split())


def read(name):
    return pathlib.Path("/proc/sys", name.replace(".", "/")).read_text()


def test_sysctls_are_set_in_the_pods_namespaces_alone(bench):
    names = {"net.ipv4.ip_unprivileged_port_start": "81", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "11"}
    before = {n: read(n) for n in names}
    script = "cat " + " ".join("/proc/sys/" + n.replace(".", "/") for n in names)
    assert said(bench, script, linux=linux("pid", "ipc", "network", sysctl=names)) == "81\n1\n11\n"
    assert {n: read(n) for n in names} == before


@pytest.mark.parametrize(
    ("name", "types"),
    [("net.ipv4.ip_unprivileged_port_start", ("pid", "ipc")), ("kernel.shmmax", ("pid", "network")), ("vm.swappiness", ("pid", "ipc", "network")),
     ("kernel.pid_max", ("pid", "ipc", "network"))],
)  # fmt: skip
def test_a_sysctl_of_the_node_is_refused_by_name(bench, name, types):
    before = read(name)
    with pytest.raises(RpcError, match=f"linux.sysctl: {name}: (needs the pod's own|is the whole node's)"):
        said(bench, "true", linux=linux(*types, sysctl={name: "1"}))
    assert read(name) == before


def test_a_sysctl_cannot_be_set_in_a_namespace_that_the_site_made_the_hosts(bench, monkeypatch):
    monkeypatch.setenv("REAPER_HOST_NAMESPACES", "net")
    with pytest.raises(RpcError, match="sysctl net.ipv4.ip_forward: would change the node"):
        said(bench, "true", linux=linux("pid", "ipc", "network", sysctl={"net.ipv4.ip_forward": "1"}))


def test_a_server_of_the_host_listens_in_the_pods_network(bench, sandbox):
    """What a Service, a probe and port-forward need: the port is the pod's, not the node's."""
    serve = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 18080)); s.listen(); print('ready', flush=True); s.accept()[0].send(b'pod')"
    pod = Running(bench, f'exec /usr/bin/python3 -c "{serve}"', linux=linux("pid", **sandbox))
    assert pod.line() == "ready\n"
    ask = ["python3", "-c", "import socket; s = socket.create_connection(('127.0.0.1', 18080)); print(s.recv(9).decode())"]
    assert subprocess.run(ask, capture_output=True).returncode != 0
    answer = subprocess.run(["nsenter", f"--net={sandbox['network']}", *ask], capture_output=True, text=True)
    assert answer.stdout == "pod\n"
    assert pod.end() == ""
