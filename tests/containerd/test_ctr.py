"""What `ctr` does with a task, on the machine's own containerd and on 1.6, 1.7 and 2.1."""

import hashlib
import os
import pty
import re
import subprocess

import pytest

from machine import RUNTIME
from waiting import until

pytestmark = pytest.mark.submission("the product's main job; each takes a second or two")

# what a missing command is looked for in
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def task(anywhere, request):
    """task(COMMAND…) starts a detached container; it is removed at the end of the test."""
    made = []

    def start(*command, flags=(), name=None):
        name = name or f"t{len(made)}"
        made.append(name)
        anywhere.ctr_run(name, *command, flags=["--detach", "--null-io", *flags])
        return name

    yield start
    for name in made:
        anywhere.ctr("tasks", "rm", "--force", name, check=False)
        anywhere.ctr("containers", "rm", name, check=False)


def deleted_with(machine, name):
    """Deletes a stopped task; its exit code, which ctr returns in some versions and prints in
    others."""
    result = machine.ctr("tasks", "delete", name, check=False)
    said = re.search(r"exit code (\d+)", result.stderr)
    return int(said.group(1)) if said else result.returncode


def test_exit_code_is_the_commands(anywhere):
    result = anywhere.ctr_run("code", "/bin/sh", "-c", "exit 7", flags=["--rm"], check=False)
    assert (result.returncode, result.stderr) == (7, "")


def test_streams_are_kept_apart(anywhere):
    result = anywhere.ctr_run("streams", "/bin/sh", "-c", "echo to-out; echo to-err >&2", flags=["--rm"])
    assert result.stdout == "to-out\n"
    assert result.stderr == "to-err\n"


def test_stdin_reaches_the_command_and_ends(anywhere):
    process = anywhere.popen(
        "ctr", "--address", anywhere.socket, "run", "--rm", "--runtime", RUNTIME,
        "--rootfs", anywhere.empty, "stdin", "/bin/cat",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(b"one\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"one\n"
    # only now: ctr passes the end on (CloseIO) only when it comes after the task was made
    out, err = process.communicate(b"two\n", timeout=60)
    assert (process.returncode, out, err) == (0, b"two\n", b"")


def test_output_of_100_mb_is_complete(anywhere):
    # numbers rather than zeros, so that a lost or doubled piece changes the hash
    lines = 100_000_000 // 10
    script = f"seq -f %09.0f 1 {lines}"
    with anywhere.popen(
        "ctr", "--address", anywhere.socket, "run", "--rm", "--runtime", RUNTIME, "--rootfs", anywhere.empty,
        "output", "/bin/sh", "-c", script,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        seen, size = hashlib.sha256(), 0
        while piece := process.stdout.read(1 << 20):
            seen.update(piece)
            size += len(piece)
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")
    assert size == lines * 10
    wanted = hashlib.sha256()
    for start in range(1, lines + 1, 100_000):
        wanted.update(b"".join(b"%09d\n" % n for n in range(start, start + 100_000)))
    assert seen.hexdigest() == wanted.hexdigest()


def test_terminal(anywhere):
    """`ctr run -t` needs a terminal itself; the command sees one, of the size of ours."""
    master, slave = pty.openpty()
    os.set_blocking(master, True)
    process = anywhere.popen(
        "ctr", "--address", anywhere.socket, "run", "--rm", "-t", "--runtime", RUNTIME,
        "--rootfs", anywhere.empty, "tty", "/bin/sh", "-c", "test -t 0 && test -t 1 && echo is-$(tty); exit 3",
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 4096):
            seen += piece
    except OSError:  # EIO: the last holder of the other end has closed it
        pass
    os.close(master)
    assert process.wait(30) == 3, seen
    assert b"is-/dev/pts/" in seen or b"is-/dev/console" in seen


def test_exec_runs_beside_the_command(anywhere, task):
    name = task("/bin/sleep", "600")
    result = anywhere.ctr("tasks", "exec", "--exec-id", "e1", name, "/bin/sh", "-c", "echo in-exec; exit 5", check=False)
    assert (result.returncode, result.stdout) == (5, "in-exec\n")
    assert "RUNNING" in anywhere.ctr("tasks", "ls").stdout


def test_exec_sees_the_files_of_its_container(anywhere, task):
    name = task("/bin/sh", "-c", "echo mine > /etc/reaper-exec-sees; exec sleep 600")
    until(lambda: anywhere.ctr("tasks", "exec", "--exec-id", "e1", name, "/bin/cat", "/etc/reaper-exec-sees", check=False).stdout == "mine\n")
    assert not anywhere.path("/etc/reaper-exec-sees").exists()


def test_kill_9_ends_it_with_137(anywhere, task):
    name = task("/bin/sleep", "600")
    anywhere.ctr("tasks", "kill", "-s", "9", name)
    until(lambda: "STOPPED" in anywhere.ctr("tasks", "ls").stdout)
    assert deleted_with(anywhere, name) == 137


def test_remove_with_force_ends_a_running_task(anywhere, task):
    name = task("/bin/sh", "-c", "sleep 601 & sleep 602 & exec sleep 600")
    anywhere.ctr("tasks", "rm", "--force", name)
    assert name not in anywhere.ctr("tasks", "ls", "-q").stdout.split()


def test_children_end_with_the_command(anywhere):
    """The census finds the sleeper if it does not."""
    result = anywhere.ctr_run("orphan", "/bin/sh", "-c", "sleep 603 </dev/null >/dev/null 2>&1 & exit 4", flags=["--rm"], check=False)
    assert result.returncode == 4


def test_missing_command_names_the_searched_path(anywhere):
    result = anywhere.ctr_run("missing", "reaper-no-such-command", flags=["--rm", "--env", f"PATH={DEFAULT_PATH}"], check=False)
    assert result.returncode != 0
    assert "reaper-no-such-command" in result.stderr
    assert DEFAULT_PATH in result.stderr
    assert result.stdout == ""
    anywhere.ctr("containers", "rm", "missing", check=False)


def test_missing_absolute_command_is_an_error(anywhere):
    result = anywhere.ctr_run("missing", "/no/such/command", flags=["--rm"], check=False)
    assert result.returncode != 0
    assert "/no/such/command" in result.stderr
    anywhere.ctr("containers", "rm", "missing", check=False)


def test_the_host_is_what_the_command_sees(anywhere):
    """The same programs as on the host: no image is needed."""
    result = anywhere.ctr_run("host", "/bin/sh", "-c", "cat /etc/os-release", flags=["--rm"])
    assert result.stdout == anywhere.path("/etc/os-release").read_text()


def test_a_write_is_seen_by_the_next_and_not_on_the_host(anywhere, task):
    # a task that lives on keeps the group from being collected between the two
    task("/bin/sleep", "600")
    anywhere.ctr_run("writer", "/bin/sh", "-c", "echo x > /etc/reaper-was-here", flags=["--rm"])
    result = anywhere.ctr_run("reader", "/bin/cat", "/etc/reaper-was-here", flags=["--rm"])
    assert result.stdout == "x\n"
    assert not anywhere.path("/etc/reaper-was-here").exists()


def test_environment_and_directory(anywhere):
    result = anywhere.ctr_run(
        "process", "/bin/sh", "-c", "echo $GREETING; pwd; id -u",
        flags=["--rm", "--env", "GREETING=hello", "--cwd", "/usr"],
    )  # fmt: skip
    assert result.stdout == "hello\n/usr\n0\n"


def test_pids_of_the_task_are_listed(anywhere, task):
    name = task("/bin/sh", "-c", "sleep 604 & exec sleep 600")
    until(lambda: len(anywhere.ctr("tasks", "ps", name).stdout.splitlines()) == 3)


def test_restart_of_containerd_keeps_the_task_and_its_exit_code(anywhere, task):
    fifo = anywhere.path(f"{anywhere.empty}/go-on")
    if fifo.exists():
        fifo.unlink()
    os.mkfifo(fifo)
    # what the command waits for lies outside the overlay's upper, as sockets and FIFOs have to
    name = task("/bin/sh", "-c", "read line < /run/gate/go-on; exit 23",
                flags=["--mount", f"type=bind,src={anywhere.empty},dst=/run/gate,options=rbind:rw"])  # fmt: skip
    before = anywhere.shims()
    anywhere.restart_containerd()
    assert anywhere.shims() == before
    assert "RUNNING" in anywhere.ctr("tasks", "ls").stdout
    with open(fifo, "w") as gate:
        gate.write("on\n")
    until(lambda: "STOPPED" in anywhere.ctr("tasks", "ls").stdout)
    assert deleted_with(anywhere, name) == 23
    fifo.unlink()


def has_ended(machine, pid):
    """As a process of the machine's own pid namespace sees it; a zombie has no command line."""
    try:
        return not machine.path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def test_exit_while_containerd_is_down_is_kept(anywhere, task):
    fifo = anywhere.path(f"{anywhere.empty}/go-on")
    if fifo.exists():
        fifo.unlink()
    os.mkfifo(fifo)
    name = task("/bin/sh", "-c", "read line < /run/gate/go-on; exit 24",
                flags=["--mount", f"type=bind,src={anywhere.empty},dst=/run/gate,options=rbind:rw"])  # fmt: skip
    pid = anywhere.ctr("tasks", "ls").stdout.split(name)[1].split()[0]
    anywhere.stop_containerd()
    with open(fifo, "w") as gate:
        gate.write("on\n")
    until(lambda: has_ended(anywhere, pid))
    anywhere.start_containerd()
    until(lambda: "STOPPED" in anywhere.ctr("tasks", "ls").stdout)
    assert deleted_with(anywhere, name) == 24
    fifo.unlink()


def test_many_at_once(anywhere):
    processes = [
        anywhere.popen(
            "ctr", "--address", anywhere.socket, "run", "--rm", "--runtime", RUNTIME,
            "--rootfs", anywhere.empty, f"many{n}", "/bin/sh", "-c", f"exit {n}",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for n in range(1, 9)
    ]  # fmt: skip
    outputs = [p.communicate(timeout=120)[0] for p in processes]
    assert [p.returncode for p in processes] == list(range(1, 9)), outputs
