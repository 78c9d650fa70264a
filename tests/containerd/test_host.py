"""The view of a node follows the node; volumes through CRI. The node's root is an overlay, as kind's is."""

import contextlib
import os
import socket

import pytest

from pods import Pods
from waiting import until

pytestmark = pytest.mark.submission("the host as containerd's pods see it, on each version; a second or two each")

PRIVATE, HOST_TO_CONTAINER, BIDIRECTIONAL = "PROPAGATION_PRIVATE", "PROPAGATION_HOST_TO_CONTAINER", "PROPAGATION_BIDIRECTIONAL"


@contextlib.contextmanager
def mounted(node, path):
    node.run("mkdir", "-p", path)
    node.run("mount", "-t", "tmpfs", "reaper-test", path)
    try:
        yield node.path(path)
    finally:
        node.run("umount", "-l", path)
        node.run("rmdir", path)


def test_the_view_follows_the_node(node, pods):
    library = node.path("/usr/local/lib/libreaper-test.so")
    library.write_text("one\n")
    try:
        first = pods.sandbox()
        holder = first.start("/bin/sh", "-c", f"exec 7</usr/local/lib/{library.name}; echo ready; exec sleep 600")
        until(lambda: "ready" in first.output(holder))
        new = library.with_suffix(".new")
        new.write_text("two\n")
        new.rename(library)
        with mounted(node, "/mnt/reaper-test") as mount:
            (mount / "file").write_text("later\n")
            script = f"cat /usr/local/lib/{library.name} /mnt/reaper-test/file; echo x >/mnt/reaper-test/new"
            # the next pod, and the next container of the pod that was there before
            for pod in (pods.sandbox(), first):
                assert pod.run("/bin/sh", "-c", script) == (0, "two\nlater\n")
            assert [p.name for p in mount.iterdir()] == ["file"]
        assert pods.sandbox().run("/bin/ls", "-A", "/mnt") == (0, "")
    finally:
        library.unlink()


def test_a_socket_of_the_node_is_reached(node, pods):
    """sssd's clients connect below /var/lib/sss/pipes; the host's own program does it here."""
    pipes = "/var/lib/sss/pipes"
    node.run("mkdir", "-p", pipes)
    # a socket's path is short; the node's root is below /proc/PID/root
    directory = os.open(node.path(pipes), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{directory}/nss")
            listener.listen()
            pod = pods.sandbox()
            connect = 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die $!; print S "hello"'
            assert pod.run("/usr/bin/perl", "-e", connect, f"{pipes}/nss") == (0, "")
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(9) == b"hello"
    finally:
        os.close(directory)
        node.run("rm", "-r", "/var/lib/sss")


@pytest.mark.parametrize("propagation", [PRIVATE, HOST_TO_CONTAINER, BIDIRECTIONAL])
def test_propagation_of_a_volume(node, pods, propagation):
    with mounted(node, "/mnt/reaper-volume") as volume:
        node.run("mount", "--make-shared", "/mnt/reaper-volume")
        for name in ("pod", "node"):
            (volume / name).mkdir()
        pod = pods.sandbox()
        mounts = [{"container_path": "/v", "host_path": "/mnt/reaper-volume", "propagation": propagation}]
        script = "mount -t tmpfs reaper-inner /v/pod && touch /v/pod/file && echo ready; exec sleep 600"
        container = pod.start("/bin/sh", "-c", script, mounts=mounts, security={"capabilities": {"add_capabilities": ["SYS_ADMIN"]}})
        until(lambda: "ready" in pod.output(container))
        assert (volume / "pod" / "file").exists() == (propagation == BIDIRECTIONAL)
        node.run("mount", "-t", "tmpfs", "reaper-later", "/mnt/reaper-volume/node")
        (volume / "node" / "file").write_text("")
        seen = pod.exec(container, "/bin/ls", "/v/node")[1]
        assert seen == ("" if propagation == PRIVATE else "file\n")
        pods.cri.stop_container(container)
        pods.cri.remove_container(container)
        for name in ("node", "pod"):
            node.run("umount", f"/mnt/reaper-volume/{name}", check=name == "node" or propagation == BIDIRECTIONAL)


def test_one_file_of_a_volume_and_a_place_that_the_node_lacks(node, pods):
    """subPath, as kubelet prepares it; nothing of it appears on the node."""
    node.path(f"{node.empty}/one.conf").write_text("one\n")
    pod = pods.sandbox()
    places = ["/etc/reaper-test/one.conf", "/run/reaper-test/one.conf", "/dev/reaper-test", "/usr/share/reaper-test/a/b"]
    mounts = [{"container_path": p, "host_path": f"{node.empty}/one.conf", "readonly": True} for p in places]
    assert pod.run("/bin/cat", *places, mounts=mounts) == (0, "one\n" * len(places))
    assert not any(node.path(p).exists() for p in ("/etc/reaper-test", "/run/reaper-test", "/dev/reaper-test", "/usr/share/reaper-test"))


def test_sysctls_of_a_pod(node, pods):
    name = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    before = node.run("cat", name).stdout
    options = {"security_context": {"namespace_options": {"network": "POD", "pid": "CONTAINER", "ipc": "POD"}}}
    pod = pods.sandbox(host_network=False, linux={**options, "sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"}})
    assert pod.run("/bin/cat", name) == (0, "80\n")
    assert node.run("cat", name).stdout == before


@pytest.fixture
def private_containerd(checked):
    """containerd whose mounts nobody else sees, as Docker's old unit had it."""
    node = checked("trixie")
    drop_in = node.path("/etc/systemd/system/containerd.service.d/reaper-test.conf")
    made = not drop_in.parent.exists()
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\nMountFlags=slave\n")
    node.run("systemctl", "daemon-reload")
    node.restart_containerd()
    yield node
    drop_in.unlink()
    if made:
        drop_in.parent.rmdir()
    node.run("systemctl", "daemon-reload")
    node.restart_containerd()
    node.run("rmdir", "/run/systemd/incoming", check=False)  # systemd's, for units with a namespace


def test_containerd_in_a_mount_namespace_of_its_own(private_containerd):
    node = private_containerd
    spaces = [os.readlink(f"/proc/{pid}/ns/mnt") for pid in (node.containerd_pid(), node.pid)]
    assert spaces[0] != spaces[1]
    node.path(f"{node.empty}/private").mkdir()
    node.path(f"{node.empty}/private/token").write_text("token\n")
    mounts = [{"container_path": "/v", "host_path": f"{node.empty}/private", "readonly": True}]
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sh", "-c", "cat /v/token; echo mine >/etc/reaper-test; exec sleep 600", mounts=mounts)
        until(lambda: "token" in pod.output(container))
        assert pods.sandbox().run("/bin/cat", "/etc/reaper-test") == (0, "mine\n")
        # its mounts are gone with it; the pods' are the shims'
        node.restart_containerd()
        assert pod.exec(container, "/bin/cat", "/v/token", "/etc/reaper-test")[:2] == (0, "token\nmine\n")
        assert pod.run("/bin/cat", "/v/token", mounts=mounts) == (0, "token\n")
        assert pods.sandbox().run("/bin/cat", "/v/token", mounts=mounts) == (0, "token\n")
        points = [line.split()[4] for line in node.path("/proc/1/mountinfo").read_text().splitlines()]
        assert not [p for p in points if "reaper" in p]
    finally:
        pods.close()
    node.path(f"{node.empty}/private/token").unlink()
    node.path(f"{node.empty}/private").rmdir()
