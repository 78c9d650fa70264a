"""Where a process's output goes and its input comes from: FIFOs, terminals, files and loggers."""

import array
import fcntl
import hashlib
import json
import os
import random
import termios
import threading
import time

import pytest

from bench import spec
from machine import is_zombie
from ttrpc import INVALID, NOT_FOUND, OK, RpcError
from waiting import until

pytestmark = pytest.mark.submission("nothing a workload says may be lost or hold it up; a second each")

SLEEP = ("/bin/sleep", "600")


class Reader(threading.Thread):
    """A client's end of a FIFO: all that comes until the last writer has closed."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.data = b""
        self.start()

    def run(self):
        with open(self.path, "rb", buffering=0) as file:
            while piece := file.read(1 << 16):
                self.data += piece

    def all(self):
        self.join(60)
        assert not self.is_alive(), f"no end of file on {self.path}"
        return self.data


def process(*args, **changes):
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(spec(*args, process=changes)["process"]).encode()}  # fmt: skip


def finish(c):
    c.call("Kill", signal=9)
    c.call("Wait")
    return c.end()


def waiting_bytes(fd):
    size = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, size)
    return size[0]


def run(c, **streams):
    c.create(**streams)
    c.call("Start")
    return c.call("Wait").exit_status


def refusal(c, **streams):
    with pytest.raises(RpcError) as raised:
        c.create(**streams)
    assert "\n" not in raised.value.message
    assert c.code("State") == NOT_FOUND
    c.end(delete=False)
    return raised.value


# --- URIs


@pytest.mark.parametrize("uri", ["http:///x", "npipe:////./pipe/x", "binaryv2:///x"])
def test_unknown_schemes_are_refused_by_name(bench, uri):
    c = bench.container("/bin/true")
    error = refusal(c, stdout=uri)
    assert error.code == INVALID
    assert uri.split("/")[0] in error.message and "binary-v2" in error.message


def test_a_uri_without_an_absolute_path_is_refused(bench):
    error = refusal(bench.container("/bin/true"), stdout="file://tmp/log")
    assert error.code == INVALID
    assert "file://tmp/log" in error.message


def test_the_scheme_is_stdouts_alone(bench):
    """stderr's own is not looked at, as in containerd's shim."""
    c = bench.container("/bin/sh", "-c", "echo out; echo err >&2")
    log = bench.directory / "log"
    assert run(c, stdout=f"file://{log}", stderr="nonsense:///x") == 0
    c.end()
    assert sorted(log.read_text().split()) == ["err", "out"]


def test_fifo_uri_is_a_path(bench):
    c = bench.container("/bin/echo", "through")
    reader = Reader(c.fifo("stdout"))
    assert run(c, stdout=f"fifo://{reader.path}") == 0
    assert reader.all() == b"through\n"
    c.end()


# what a process finds: a nonzero status if one of its streams does not block
BLOCKING = "for n in 0 1 2; do f=$(sed -n 's/^flags:.//p' /proc/self/fdinfo/$n); [ $((f & 04000)) = 0 ] || exit $((n + 1)); done"


@pytest.mark.parametrize("how", ["nowhere", "fifos", "terminal"])
def test_streams_block(bench, how):
    """Ansible, among others, refuses to start with a stream that does not."""
    # a subshell's $() has another descriptor 1 only: its own fdinfo is asked of the shell's
    script = BLOCKING.replace("/proc/self", "/proc/$$")
    c = bench.container("/bin/sh", "-c", script, process={"terminal": how == "terminal"})
    streams, readers = {}, []
    if how != "nowhere":
        streams["stdin"] = c.fifo("stdin")
        for name in ("stdout",) if how == "terminal" else ("stdout", "stderr"):
            streams[name] = c.fifo(name)
            readers.append(Reader(streams[name]))
    assert run(c, **streams) == 0
    c.end()


def test_empty_names_are_dev_null(bench):
    c = bench.container("/bin/sh", "-c", "for n in 0 1 2; do [ /proc/self/fd/$n -ef /dev/null ] || exit $((n + 1)); done")
    assert run(c) == 0
    c.end()


def test_a_missing_fifo_is_an_error_with_its_name(bench):
    assert "/no/such/fifo" in refusal(bench.container("/bin/true"), stdout="/no/such/fifo").message


# --- files


def test_file_is_appended_to(bench):
    log = bench.directory / "made" / "for it" / "log"
    uri = f"file://{bench.directory}/made/for%20it/log"
    for number in range(2):
        c = bench.container("/bin/sh", "-c", f"echo out{number}; echo err{number} >&2; exit 3", name=f"c{number}")
        assert run(c, stdout=uri, stderr=uri) == 3
        c.end()
    assert sorted(log.read_text().split()) == ["err0", "err1", "out0", "out1"]
    assert log.stat().st_mode & 0o777 == 0o644
    assert log.parent.stat().st_mode & 0o777 == 0o755


def test_file_gets_everything(bench):
    log = bench.directory / "log"
    c = bench.container("/bin/sh", "-c", "seq 200000")
    assert run(c, stdout=f"file://{log}") == 0
    c.end()
    assert log.read_text() == "".join(f"{n}\n" for n in range(1, 200001))


def test_a_file_that_cannot_be_written_does_not_hold_up_the_process(bench):
    c = bench.container("/bin/sh", "-c", "head -c 1000000 /dev/zero && exit 5")
    assert run(c, stdout="file:///dev/full") == 5
    c.end()


def test_a_file_that_cannot_be_opened_is_an_error_with_its_name(bench):
    (bench.directory / "plain").write_text("")
    path = f"{bench.directory}/plain/log"
    assert path in refusal(bench.container("/bin/true"), stdout=f"file://{path}").message


# --- loggers

LOGGER = r"""#!/bin/sh
exec 2>>{dir}/stderr
cd {dir}
tr '\0' '\n' < /proc/$$/environ > environ
printf '%s\n' "$@" > args
ls /proc/$$/fd | tr '\n' ' ' > fds
{before}
cat <&3 >> out 5>&- & cat <&4 >> err 5>&- &
{ready}
exec 5>&- 3<&- 4<&-
wait
{after}
"""


class Logger:
    def __init__(self, bench, before="", ready="printf x >&5", after="echo done > ended"):
        self.directory = bench.directory / "logs"
        self.directory.mkdir(exist_ok=True)
        self.program = bench.directory / "logger"
        self.program.write_text(LOGGER.format(dir=self.directory, before=before, ready=ready, after=after))
        self.program.chmod(0o755)

    def uri(self, scheme="binary", query=""):
        return f"{scheme}://{self.program}{query}"

    def read(self, name):
        return (self.directory / name).read_bytes().decode()

    def has(self, name):
        return (self.directory / name).exists()


@pytest.mark.parametrize("scheme", ["binary", "binary-v2"])
def test_logger_gets_both_streams_its_arguments_and_nothing_else(bench, scheme):
    logger = Logger(bench)
    c = bench.container("/bin/sh", "-c", "echo out; echo err >&2; exit 4")
    uri = logger.uri(scheme, "?level=a%20b+c&empty&level=2#part")
    assert run(c, stdout=uri, stderr=uri) == 4
    assert c.call("State").stdout == uri
    c.end()
    assert (logger.read("out"), logger.read("err")) == ("out\n", "err\n")
    assert logger.read("args") == "level\na b c\nempty\n\nlevel\n2\n"
    assert sorted(logger.read("environ").split()) == ["CONTAINER_ID=one", "CONTAINER_NAMESPACE=component"]
    assert {"0", "1", "2", "3", "4", "5"} <= set(logger.read("fds").split())
    assert logger.has("ended"), "Delete waits for the logger"


def test_logger_loses_nothing(bench):
    logger = Logger(bench)
    c = bench.container("/bin/sh", "-c", "seq 100000; seq 100000 >&2; exit 0")
    assert run(c, stdout=logger.uri()) == 0
    c.end()
    numbers = "".join(f"{n}\n" for n in range(1, 100001))
    assert logger.read("out") == numbers
    assert logger.read("err") == numbers


def test_create_waits_for_the_logger_and_nobody_else_does(bench):
    logger = Logger(bench, before="while ! [ -e go ]; do sleep 0.05; done")
    c = bench.container("/bin/true")
    creating = c.task.begin("Create", id="one", bundle=str(c.bundle), stdout=logger.uri())
    until(lambda: logger.has("fds"))
    assert c.another().call("State", id="one").pid > 0
    assert not logger.has("out")
    (logger.directory / "go").touch()
    assert c.task.end("Create", creating).pid > 0
    c.call("Start")
    assert c.call("Wait").exit_status == 0
    c.end()


def test_logger_that_closes_its_ready_pipe_is_ready(bench):
    logger = Logger(bench, ready="")
    c = bench.container("/bin/echo", "through")
    assert run(c, stdout=logger.uri()) == 0
    c.end()
    assert logger.read("out") == "through\n"


def test_binary_v2_must_say_that_it_is_ready(bench):
    logger = Logger(bench, ready="")
    error = refusal(bench.container("/bin/true"), stdout=logger.uri("binary-v2"))
    assert str(logger.program) in error.message and "descriptor 5" in error.message


def test_missing_logger_is_an_error_with_its_path(bench):
    error = refusal(bench.container("/bin/true"), stdout="binary:///no/such/logger?a=b")
    assert "/no/such/logger" in error.message
    assert error.code == NOT_FOUND


@pytest.mark.full("the patience of the shim is ten seconds")
def test_logger_that_is_never_ready_is_given_up(bench):
    logger = Logger(bench, before="sleep 600")
    error = refusal(bench.container("/bin/true"), stdout=logger.uri())
    assert "not ready after 10 s" in error.message


def test_the_end_of_a_logger_does_not_end_its_process(bench):
    """Without a reader of ours it would be killed by SIGPIPE, or wait for ever."""
    logger = Logger(bench, before="printf x >&5; exit 7")
    c = bench.container("/bin/sh", "-c", "head -c 300000 /dev/zero && head -c 300000 /dev/zero >&2 && exit 6")
    assert run(c, stdout=logger.uri()) == 6
    c.end()


def test_logger_that_does_not_end_is_told_to(bench):
    logger = Logger(bench, before="trap 'echo term > ended; exit 0' TERM; printf x >&5; exec 5>&-; "
                    "while :; do sleep 0.05; done")  # fmt: skip
    c = bench.container("/bin/true")
    assert run(c, stdout=logger.uri()) == 0
    c.end()
    assert logger.read("ended") == "term\n"


@pytest.mark.full("the patience of the shim is twelve seconds")
def test_logger_that_does_not_listen_is_killed(bench):
    logger = Logger(bench, before="trap '' TERM; printf x >&5; exec 5>&-; while :; do sleep 0.05; done")
    c = bench.container("/bin/true")
    assert run(c, stdout=logger.uri()) == 0
    c.end()  # the census finds what is left


def test_logger_of_a_terminal(bench):
    logger = Logger(bench)
    c = bench.container("/bin/sh", "-c", "tty; echo err >&2", process={"terminal": True})
    assert run(c, stdout=logger.uri(), terminal=True) == 0
    c.end()
    assert logger.read("out") == "/dev/pts/0\r\nerr\r\n"
    assert logger.read("err") == ""


def test_logger_of_an_exec(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    logger = Logger(bench)
    c.call("Exec", exec_id="e", spec=process("/bin/sh", "-c", "echo from exec; exit 3"), stdout=logger.uri())
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 3
    c.call("Delete", exec_id="e")
    assert logger.read("out") == "from exec\n"
    assert logger.has("ended")
    finish(c)


def test_an_exec_whose_logger_is_missing_does_not_start(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=process("/bin/true"), stdout="binary:///no/such/logger")
    with pytest.raises(RpcError, match="/no/such/logger"):
        c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status > 0
    c.call("Delete", exec_id="e")
    finish(c)


# --- the tail


def tail_script(numbers):
    """Output of random length in random pieces from the process and from children that hold its
    output longer, and its hash."""
    total = hashlib.sha256()
    script = ""
    for _ in range(numbers.randrange(1, 5)):
        count = numbers.randrange(0, 30000)
        script += f"head -c {count} /dev/zero | tr '\\0' {chr(numbers.randrange(97, 123))}; "
        total.update(script[-3].encode() * count)
        if numbers.random() < 0.3:
            script += f"sleep 0.0{numbers.randrange(0, 5)}; "
    return script, total.hexdigest()


def check_tails(bench, seed, runs):
    numbers = random.Random(seed)
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    for number in range(runs):
        script, expected = tail_script(numbers)
        if numbers.random() < 0.5:  # holds the output open until the exec is deleted
            script = f"sleep 600 & {script}"
        name = f"e{number}"
        reader = Reader(c.fifo(name))
        c.call("Exec", exec_id=name, spec=process("/bin/sh", "-c", script), stdout=reader.path)
        c.call("Start", exec_id=name)
        assert c.call("Wait", exec_id=name).exit_status == 0
        c.call("Delete", exec_id=name)
        assert hashlib.sha256(reader.all()).hexdigest() == expected, f"seed {seed}, run {number}: {script}"
    finish(c)


def test_no_tail_is_lost(bench):
    check_tails(bench, seed=1, runs=25)


@pytest.mark.full("more of the same, with seeds of their own")
@pytest.mark.parametrize("seed", range(2, 12))
def test_no_tail_is_lost_in_many_runs(bench, seed):
    check_tails(bench, seed, runs=100)


def test_the_tail_of_a_first_process_whose_children_hold_its_output(bench):
    c = bench.container("/bin/sh", "-c", "sleep 600 & (sleep 600 >&2) & seq 60000; exit 2")
    out, err = Reader(c.fifo("stdout")), Reader(c.fifo("stderr"))
    assert run(c, stdout=out.path, stderr=err.path) == 2
    assert out.all() == b"".join(b"%d\n" % n for n in range(1, 60001))
    assert err.all() == b""
    c.end()


def test_output_that_somebody_outside_holds_open_ends_all_the_same(bench):
    """The client waits for the end of file before it deletes, without a limit."""
    c = bench.container("/bin/sh", "-c", "echo started; exec sleep 600")
    reader = Reader(c.fifo("stdout"))
    pid = c.create(stdout=reader.path)
    c.call("Start")
    until(lambda: reader.data)
    holder = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
    c.call("Kill", signal=9)
    c.call("Wait")
    assert reader.all() == b"started\n"
    os.close(holder)
    c.end()


def test_an_exec_that_is_deleted_lets_go_of_its_output(bench):
    """… although a child of it lives on and holds it: a probe's daemon, or a shell's background job."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    reader = Reader(c.fifo("e"))
    c.call("Exec", exec_id="e", spec=process("/bin/sh", "-c", "sleep 600 & echo $!"), stdout=reader.path)
    c.call("Start", exec_id="e")
    c.call("Wait", exec_id="e")
    until(lambda: reader.data)
    c.call("Delete", exec_id="e")
    reader.all()
    assert len(c.call("Pids").processes) == 2, "the child goes on"
    finish(c)


def test_a_client_that_reads_late_gets_everything(bench):
    """More than the FIFO holds, and nobody has opened it when the process is gone."""
    c = bench.container("/bin/sh", "-c", "head -c 100000 /dev/zero; exit 3")
    path = c.fifo("stdout")
    assert run(c, stdout=path) == 3
    assert Reader(path).all() == bytes(100000)
    c.end()


def seconds_since(stamp):
    return time.time() - stamp.seconds - stamp.nanos / 1e9


def test_the_end_is_not_told_before_the_client_has_read_or_has_had_its_time(bench):
    """containerd gives up opening a FIFO when it hears of the exit, and what lies in it is lost. Here nobody reads: the
    end is told after a quarter of a second, which no machine can be too slow for."""
    c = bench.container(*SLEEP)
    path = c.fifo("e")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=process("/bin/echo", "said"), stdout=path)
    c.call("Start", exec_id="e")
    assert seconds_since(c.call("Wait", exec_id="e").exited_at) >= 0.25
    assert os.read(reader, 100) == b"said\n"
    os.close(reader)
    c.call("Delete", exec_id="e")
    finish(c)
    quick = bench.container("/bin/echo", "said", name="quick")
    path = quick.fifo("stdout")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    quick.create(stdout=path)
    quick.call("Start")
    assert seconds_since(quick.call("Wait").exited_at) >= 0.25
    assert os.read(reader, 100) == b"said\n"
    os.close(reader)
    quick.end()


def test_output_waits_while_containerd_is_away(bench):
    """Reader gone for longer than the pipes hold: the workload waits, and nothing is lost."""
    c = bench.container("/bin/sh", "-c", "seq 1000; read go; seq 100000; exit 9")
    path, stdin = c.fifo("stdout"), c.fifo("stdin")
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdin=stdin, stdout=path)
    c.call("Start")
    data = b""
    head = b"".join(b"%d\n" % n for n in range(1, 1001))
    os.set_blocking(first, True)
    while len(data) < len(head):
        data += os.read(first, 65536)
    os.close(first)
    with open(stdin, "w") as go:
        go.write("go\n")

    # as a writer, for a reader would make it flow
    look = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    until(lambda: waiting_bytes(look) > 32768, what="the FIFO is full")
    os.close(look)
    assert c.call("State").status == "RUNNING"
    reader = Reader(path)
    assert c.call("Wait").exit_status == 9
    assert data + reader.all() == head + b"".join(b"%d\n" % n for n in range(1, 100001))
    c.end()


# --- stdin


def test_close_io_before_start_is_remembered(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=process("/bin/cat"), stdin=c.fifo("stdin"))
    c.call("CloseIO", exec_id="e", stdin=True)
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 0
    c.call("Delete", exec_id="e")
    finish(c)


def test_much_input_arrives_whole(bench):
    c = bench.container("/usr/bin/sha256sum")
    stdin, reader = c.fifo("stdin"), Reader(c.fifo("stdout"))
    c.create(stdin=stdin, stdout=reader.path)
    data = random.Random(7).randbytes(3 << 20)
    with open(stdin, "wb") as writer:
        c.call("Start")
        writer.write(data)
    c.call("CloseIO", stdin=True)
    assert c.call("Wait").exit_status == 0
    assert reader.all().split()[0].decode() == hashlib.sha256(data).hexdigest()
    c.end()


def test_input_that_nobody_reads_holds_up_nobody(bench):
    c = bench.container(*SLEEP)
    stdin = c.fifo("stdin")
    c.create(stdin=stdin)
    c.call("Start")
    writer = os.open(stdin, os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    c.call("CloseIO", stdin=True)
    assert c.call("State").status == "RUNNING"
    os.close(writer)
    finish(c)


# --- terminals


def test_the_terminal_has_its_size_from_the_start(bench):
    for stage in ("create", "exec"):
        args = ("/bin/sh", "-c", "stty size; tty; echo to the terminal > /dev/tty")
        config = {"terminal": True, "consoleSize": {"height": 41, "width": 123}}
        if stage == "create":
            c = bench.container(*args, process=config, name=stage)
            reader = Reader(c.fifo("stdout"))
            assert run(c, stdout=reader.path, terminal=True) == 0
        else:
            c = bench.container(*SLEEP, name=stage)
            c.create()
            c.call("Start")
            reader = Reader(c.fifo("e"))
            c.call("Exec", exec_id="e", spec=process(*args, **config), stdout=reader.path, terminal=True)
            c.call("Start", exec_id="e")
            assert c.call("Wait", exec_id="e").exit_status == 0
            c.call("Delete", exec_id="e")
            c.call("Kill", signal=9)
            c.call("Wait")
        assert reader.all() == b"41 123\r\n/dev/pts/0\r\nto the terminal\r\n"
        c.end()


def test_a_size_that_comes_before_the_terminal_is_its_first_one(bench):
    """kubectl exec -it: the client's size is there before Start, and the terminal is not."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    reader = Reader(c.fifo("e"))
    c.call("Exec", exec_id="e", spec=process("/bin/stty", "size", terminal=True),
           stdout=reader.path, terminal=True)  # fmt: skip
    c.call("ResizePty", exec_id="e", width=77, height=33)
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 0
    c.call("Delete", exec_id="e")
    assert reader.all() == b"33 77\r\n"
    finish(c)


def test_the_tail_of_a_terminal(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    for number in range(10):
        name = f"e{number}"
        reader = Reader(c.fifo(name))
        c.call("Exec", exec_id=name, spec=process("/bin/sh", "-c", "seq 9000", terminal=True), stdout=reader.path,
               terminal=True)  # fmt: skip
        c.call("Start", exec_id=name)
        assert c.call("Wait", exec_id=name).exit_status == 0
        c.call("Delete", exec_id=name)
        assert reader.all() == b"".join(b"%d\r\n" % n for n in range(1, 9001))
    finish(c)


def test_the_end_of_its_input_hangs_a_terminal_up(bench):
    """As the user's own terminal is gone. (The first process of a pid namespace gets no SIGHUP.)"""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    stdin, reader = c.fifo("stdin"), Reader(c.fifo("stdout"))
    c.call("Exec", exec_id="e", spec=process("/bin/sh", "-c", "echo here; exec sleep 600", terminal=True),
           stdin=stdin, stdout=reader.path, terminal=True)  # fmt: skip
    c.call("Start", exec_id="e")
    writer = os.open(stdin, os.O_WRONLY)
    until(lambda: reader.data)
    os.close(writer)
    assert c.call("State", exec_id="e").status == "RUNNING", "until CloseIO that may be a restart of containerd"
    c.call("CloseIO", exec_id="e", stdin=True)
    assert c.call("Wait", exec_id="e").exit_status == 129
    assert reader.all() == b"here\r\n"
    c.call("Delete", exec_id="e")
    finish(c)


def test_a_deleted_exec_hangs_its_terminal_up(bench):
    """What it left in the background on it gets SIGHUP or an error, and the terminal goes."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    reader = Reader(c.fifo("e"))
    c.call("Exec", exec_id="e", spec=process("/bin/sh", "-c", "trap '' HUP; sleep 600 & echo $!", terminal=True),
           stdout=reader.path, terminal=True)  # fmt: skip
    c.call("Start", exec_id="e")
    c.call("Wait", exec_id="e")
    until(lambda: b"\n" in reader.data)
    c.call("Delete", exec_id="e")
    reader.all()
    assert c.code("ResizePty", exec_id="e", width=1, height=1) == NOT_FOUND
    finish(c)


def terminals_of(pid):
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        except FileNotFoundError:  # closed meanwhile
            pass
    return sum(link.endswith("ptmx") for link in found)


def test_a_terminal_is_one_descriptor_of_the_shim(bench):
    """What containerd's own suite counts; it is gone with the process and not before."""
    c = bench.container("/bin/sh", "-c", "exec </dev/null >/dev/null 2>&1; sleep 600", process={"terminal": True})
    stdin, reader = c.fifo("stdin"), Reader(c.fifo("stdout"))
    c.create(stdin=stdin, stdout=reader.path, terminal=True)
    c.call("Start")
    assert terminals_of(c.shim_pid) == 1
    c.call("Exec", exec_id="e", spec=process("/bin/sleep", "600", terminal=True), terminal=True)
    c.call("Start", exec_id="e")
    assert terminals_of(c.shim_pid) == 2
    c.call("Kill", exec_id="e", signal=9)
    c.call("Wait", exec_id="e")
    c.call("Delete", exec_id="e")
    assert terminals_of(c.shim_pid) == 1
    # its workload holds the terminal by nothing but its session, which must not be hung up
    reader.all()
    assert c.call("State").status == "RUNNING"
    assert terminals_of(c.shim_pid) == 1
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    until(lambda: terminals_of(c.shim_pid) == 0, what="the end of the terminal")
    c.end()


def test_much_goes_through_a_terminal_both_ways_at_once(bench):
    """Input and output wait for their readers in turns, and one descriptor is watched for both."""
    data = random.Random(3).randbytes(1 << 20)
    script = f"stty raw -echo; echo ready; head -c {len(data)}"
    c = bench.container("/bin/sh", "-c", script, process={"terminal": True})
    stdin, stdout = c.fifo("stdin"), c.fifo("stdout")
    out = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdin=stdin, stdout=stdout, terminal=True)
    c.call("Start")
    os.set_blocking(out, True)
    with open(out, "rb", buffering=0) as reader:
        said = b""
        while not said.endswith(b"ready\n"):
            said += reader.read(1)
        writer = os.open(stdin, os.O_WRONLY | os.O_NONBLOCK)
        sent = 0
        try:  # until everything between here and the reader is full
            while sent < len(data):
                sent += os.write(writer, data[sent : sent + 4096])
        except BlockingIOError:
            os.set_blocking(writer, True)
        feeder = threading.Thread(target=lambda: open(writer, "wb").write(data[sent:]), daemon=True)
        feeder.start()
        echoed = b""
        while len(echoed) < len(data) and (piece := reader.read(1 << 16)):
            echoed += piece
        feeder.join(60)
    assert hashlib.sha256(echoed).hexdigest() == hashlib.sha256(data).hexdigest()
    assert c.call("Wait").exit_status == 0
    c.end()


def test_a_terminal_nobody_listens_to_does_not_stop_its_process(bench):
    c = bench.container("/bin/sh", "-c", "seq 50000; exit 8", process={"terminal": True})
    assert run(c, terminal=True) == 8
    c.end()


def test_nothing_of_streams_is_left_in_the_shim(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    fds = f"/proc/{c.shim_pid}/fd"
    before = len(os.listdir(fds))
    logger = Logger(bench)
    for number in range(6):
        name = f"e{number}"
        terminal = number % 2 == 1
        if number < 2:
            streams = {"stdout": logger.uri()}
        elif number < 4:
            reader = Reader(c.fifo(name))
            streams = {"stdout": reader.path, "stdin": c.fifo(name + "in")}
        else:
            streams = {"stdout": f"file://{bench.directory}/log"}
        c.call("Exec", exec_id=name, spec=process("/bin/echo", "x", terminal=terminal), terminal=terminal, **streams)
        c.call("Start", exec_id=name)
        c.call("Wait", exec_id=name)
        c.call("Delete", exec_id=name)
    assert c.code("State") == OK
    assert len(os.listdir(fds)) == before
    finish(c)
