"""kubectl logs, exec, attach, run, cp and port-forward."""

import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pytest

from kube_cluster import WEB, pod, shell
from machine import IMAGE
from waiting import until

pytestmark = pytest.mark.full("each takes seconds; the decisive ones are in the submission set")
decisive = pytest.mark.submission("what people do with a pod all day")


@decisive
def test_exec_status_streams_and_input(kube):
    kube.start("exec")
    result = kube.exec("exec", "sh", "-c", "echo out; echo err >&2; exit 9", check=False)
    assert (result.returncode, result.stdout) == (9, "out\n")
    assert result.stderr.startswith("err\n")
    fed = kube.kubectl("exec", "-i", "exec", "--", "sha256sum", input="x" * 300_000)
    assert fed.stdout.split()[0] == hashlib.sha256(b"x" * 300_000).hexdigest()
    missing = kube.exec("exec", "no-such-program", check=False)
    assert missing.returncode in (126, 127, 1)
    assert "no-such-program: not found; searched" in missing.stderr


@decisive
def test_logs_hold_both_streams_and_the_last_byte(kube):
    kube.make(pod("logs", shell("seq 1 20000; echo err >&2; printf 'no end of line'")))
    code, text = kube.ended("logs")
    lines = text.splitlines()
    assert code == 0
    assert [line for line in lines if line.isdigit()] == [str(n) for n in range(1, 20001)]
    assert "err" in lines and "no end of line" in lines
    assert kube.out("logs", "logs", "--tail=20001").count("\n") >= 20000


def test_logs_are_followed_and_previous_ones_are_kept(kube):
    kube.make(pod("follow", shell("for i in 1 2 3; do echo line $i; sleep 1; done; exit 1"), restartPolicy="OnFailure"))
    kube.wait("pod/follow", "jsonpath={.status.containerStatuses[0].state.running}")
    followed = kube.out("logs", "-f", "follow", timeout=60)
    assert followed == "line 1\nline 2\nline 3\n"
    until(lambda: kube.status("follow")["restartCount"] >= 1, limit=60, what="the restart")
    assert kube.out("logs", "--previous", "follow") == "line 1\nline 2\nline 3\n"


def test_a_log_is_turned_over_while_it_is_written(kube):
    """The kubelet of this cluster does so at 1 MiB."""
    kube.start("rotate", "i=0; while [ $i -lt 40 ]; do seq -w 1 10000; i=$((i + 1)); sleep 0.2; done; echo all; exec sleep infinity")
    node = kube.node_of("rotate")
    uid = kube.get("pod", "rotate")["metadata"]["uid"]
    directory = node.path(f"/var/log/pods/default_rotate_{uid}/main")
    until(lambda: kube.out("logs", "--tail=1", "rotate") == "all\n", limit=120, what="the end of the output")
    until(lambda: len(os.listdir(directory)) > 1, limit=60, what="a second log file")
    assert kube.out("logs", "--tail=1", "rotate") == "all\n"


def test_attach_to_what_reads_its_input(kube):
    kube.make(pod("attach", shell("while read -r line; do echo got $line; done; echo end", stdin=True, stdinOnce=True)))
    kube.ready("attach")
    kube.kubectl("attach", "-i", "attach", input="one\ntwo\n", timeout=60)
    assert kube.ended("attach") == (0, "got one\ngot two\nend\n")


@decisive
def test_run_with_input_ends_when_it_ends(kube):
    result = kube.kubectl(
        "run", "fed", f"--image={IMAGE}", "--restart=Never", "--rm", "-i", "--quiet",
        '--overrides={"spec":{"runtimeClassName":"reaper-v2"}}', "--command", "--", "cat",
        input="three\nlines\nhere\n", timeout=60, check=False,
    )  # fmt: skip
    kube.kubectl("delete", "pod", "fed", "--ignore-not-found", "--wait=false")
    assert result.stdout == "three\nlines\nhere\n", result.stderr


def read_until(descriptor, text, limit=30):
    seen = b""
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], limit)
        assert ready, f"{text} did not come: {seen}"
        try:
            seen += os.read(descriptor, 65536)
        except OSError:
            break
    return seen


@decisive
def test_a_terminal_with_its_size(kube):
    kube.start("terminal")
    master, slave = pty.openpty()
    subprocess.run(["stty", "rows", "33", "cols", "77"], stdin=slave, check=True)
    child = subprocess.Popen(["kubectl", "exec", "-it", "terminal", "--", "/bin/sh"], env=kube.environment(),
                             stdin=slave, stdout=slave, stderr=slave, start_new_session=True)  # fmt: skip
    os.close(slave)
    try:
        read_until(master, b"# ")
        os.write(master, b"tty; until [ \"$(stty size)\" = '33 77' ]; do sleep 0.1; done; echo size is $(stty size)\n")
        seen = read_until(master, b"size is 33 77")
        assert b"/dev/pts/" in seen
        # and with the next one
        os.write(master, b"until [ \"$(stty size)\" = '44 88' ]; do sleep 0.1; done; echo now $(stty size)\n")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 44, 88, 0, 0))
        child.send_signal(signal.SIGWINCH)
        read_until(master, b"now 44 88")
        os.write(master, b"exit 6\n")
        assert child.wait(30) == 6
    finally:
        child.kill()
        child.wait()
        os.close(master)


@decisive
def test_cp_both_ways(kube, tmp_path):
    kube.start("cp")
    data = os.urandom(200_000)
    (tmp_path / "in").write_bytes(data)
    kube.kubectl("cp", tmp_path / "in", "cp:/tmp/copied")
    assert kube.exec("cp", "sha256sum", "/tmp/copied").stdout.split()[0] == hashlib.sha256(data).hexdigest()
    kube.kubectl("cp", "cp:/tmp/copied", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert not kube.node_of("cp").path("/tmp/copied").exists()


@decisive
def test_port_forward(kube):
    kube.start("forward", WEB)
    child = subprocess.Popen(["kubectl", "port-forward", "pod/forward", ":8080"], env=kube.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    try:
        line = child.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert port, line

        def answered():
            result = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port.group(1)}/"], capture_output=True, text=True)
            return result.stdout == "forward\n"

        until(answered, what="an answer through the forwarded port")
    finally:
        child.kill()
        child.wait()
