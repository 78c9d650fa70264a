"""Why a command does not start, in the words that `kubectl describe` shows. Each is provoked."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

import pytest

from bench import spec
from ttrpc import INVALID, NOT_FOUND, PERMISSION, PRECONDITION, UNIMPLEMENTED, UNKNOWN, RpcError

pytestmark = pytest.mark.submission("host commands fail for the host's reasons: users need them; milliseconds each")

SLEEP = ("/bin/sleep", "600")
D = "/srv/reaper-start"  # where the containers see the directory of commands
NOEXEC = "/srv/reaper-noexec"
FOREIGN = 183 if os.uname().machine == "x86_64" else 62  # aarch64, x86-64


def elf(patch):
    """/bin/true with something changed."""
    data = bytearray(pathlib.Path("/bin/true").read_bytes())
    patch(data)
    return bytes(data)


def foreign(data):
    """Of a version of ELF that no emulator is registered for (binfmt_misc compares it), so that nobody runs it."""
    data[6] = 2
    struct.pack_into("<H", data, 18, FOREIGN)


def no_loader(data):
    """PT_INTERP names a file of the same length that is not there."""
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + i * size)
        if kind == 3:
            data[at : at + length] = b"/no/".ljust(length - 1, b"x") + b"\0"


@pytest.fixture
def commands(bench):
    directory = bench.directory / "commands"
    (directory / "closed" / "inner").mkdir(parents=True)
    (directory / "closed").chmod(0o700)
    files = {
        "text": b"echo hello\n", "empty": b"", "lost": b"#!/no/such/interpreter -e\n", "dos": b"#!/bin/sh\r\n",
        "foreign": elf(foreign), "no_loader": elf(no_loader), "good": elf(lambda data: None),
        "plain_interpreter": f"#!{D}/plain\n".encode(), "closed/inner/tool": b"#!/bin/sh\n",
    }  # fmt: skip
    for name, content in files.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o755)
    (directory / "plain").write_bytes(b"#!/bin/sh\n")
    os.mkfifo(directory / "fifo")
    return directory


def container(bench, commands, *args, **process):
    mounts = spec("x")["mounts"]
    for destination, options in ((D, ["rbind"]), (NOEXEC, ["rbind", "noexec"])):
        mounts.append({"destination": destination, "type": "bind", "source": str(commands), "options": options})
    changes = {"mounts": mounts}
    if "linux" in process:
        changes["linux"] = {**spec("x")["linux"], **process.pop("linux")}
    return bench.container(*args, process=process, **changes)


NOBODY = {"user": {"uid": 1000, "gid": 1000}}
NO_CAPS = {"capabilities": {}}
DENY_EXECVE = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["execve", "execveat"], "action": "SCMP_ACT_ERRNO"}]}}}  # fmt: skip

# command, further members of process, code, exit status of an exec, text
TABLE = {
    "not_found": (["no-such-daemon"], {}, NOT_FOUND, 127,
                  "no-such-daemon: not found; searched /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    "not_found_in_a_path_of_the_pod": (["x"], {"env": ["PATH=/opt/a:/opt/b"]}, NOT_FOUND, 127,
                                       "x: not found; searched /opt/a:/opt/b"),
    "absolute": (["/usr/bin/no-such"], {}, NOT_FOUND, 127, "/usr/bin/no-such: not found on this host"),
    "script_without_its_interpreter": ([f"{D}/lost"], {}, NOT_FOUND, 127,
                                       f"{D}/lost: its interpreter /no/such/interpreter: not found"),
    "program_without_its_loader": ([f"{D}/no_loader"], {}, NOT_FOUND, 127,
                                   f"{D}/no_loader: its dynamic loader /no/x+: not found"),
    "interpreter_that_cannot_run": ([f"{D}/plain_interpreter"], {}, PERMISSION, 126,
                                    f"{D}/plain_interpreter: its interpreter: {D}/plain: is not executable for user 0"),
    "dos": ([f"{D}/dos"], {}, NOT_FOUND, 127, f"{D}/dos: its first line ends in a carriage return"),
    "wrong_machine": ([f"{D}/foreign"], {}, UNKNOWN, 126,
                      f"{D}/foreign: is a program for (aarch64|x86-64), which this machine .* cannot run"),
    "no_shebang": ([f"{D}/text"], {}, UNKNOWN, 126, f"{D}/text: is a script without a #! line"),
    "empty": ([f"{D}/empty"], {}, UNKNOWN, 126, f"{D}/empty: is empty"),
    "not_executable": ([f"{D}/plain"], {}, PERMISSION, 126, f"{D}/plain: is not executable for user 0"),
    "noexec": ([f"{NOEXEC}/good"], {}, PERMISSION, 126,
               f"{NOEXEC}/good: lies on a file system that is mounted noexec"),
    "directory_that_denies": ([f"{D}/closed/inner/tool"], {**NOBODY, **NO_CAPS}, PERMISSION, 126,
                              f"{D}/closed/inner/tool: permission denied: user 1000 may not enter directory {D}/closed"),
    "directory": ([D], {}, PERMISSION, 126, f"{D}: is a directory"),
    "fifo": ([f"{D}/fifo"], {}, PERMISSION, 126, f"{D}/fifo: is no regular file"),
    "too_long": (["/bin/true", "x" * 200_000], {}, UNKNOWN, 126,
                 "/bin/true: arguments and environment are too large"),
    "policy_of_seccomp": (["/bin/true"], DENY_EXECVE, PERMISSION, 126, "/bin/true: not permitted .*seccomp"),
    "cwd_is_a_file": (["/bin/true"], {"cwd": f"{D}/text"}, (INVALID, UNKNOWN), 128,
                      f"{D}/text(: Not a directory| is a file in the host view, but what is to be there is a directory)"),
    "magic_link": (["/proc/self/exe"], {}, INVALID, 126, "/proc/self/exe: a loop of symbolic links, or a magic link"),
    "user_by_name": (["/bin/true"], {"user": {"username": "slurm"}}, UNIMPLEMENTED, 128,
                     'process.user.username: "slurm": a user is a number here'),
    "capability": (["/bin/true"], {"capabilities": {"bounding": ["CAP_X"]}}, INVALID, 128,
                   "process.capabilities: capability CAP_X: unknown here"),
    "apparmor": (["/bin/true"], {"apparmorProfile": "reaper-no-such"}, (NOT_FOUND, PRECONDITION), 128,
                 "AppArmor profile reaper-no-such: (this kernel has no AppArmor|not loaded on this node)"),
    "selinux": (["/bin/true"], {"selinuxLabel": "a:b:c:s0"}, (INVALID, PRECONDITION), 128, "SELinux|Invalid argument"),
}  # fmt: skip


def check(raised, codes, text):
    message = raised.value.message
    assert re.search(text, message), message
    assert raised.value.code in (codes if isinstance(codes, tuple) else (codes,)), message
    assert len(message.encode()) <= 1024
    assert "\n" not in message


@pytest.mark.parametrize("case", TABLE)
def test_of_a_container(bench, commands, case):
    args, process, codes, _, text = TABLE[case]
    c = container(bench, commands, *args, **process)
    created = False
    with pytest.raises(RpcError) as raised:
        c.create()
        created = True
        c.call("Start")
    check(raised, codes, text)
    if created:
        assert c.call("Wait").exit_status in (126, 127, 128)
    c.end(delete=created)


def exec_spec(*args, **process):
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(spec(*args, process=process)["process"]).encode()}  # fmt: skip


# seccomp is the container's; what the spec itself may not say is an error of Exec
OF_AN_EXEC = [c for c in TABLE if c not in ("policy_of_seccomp", "user_by_name")]


def test_of_an_exec(bench, commands):
    """All in one container, which goes on as if nothing had been."""
    c = container(bench, commands, *SLEEP)
    c.create()
    c.call("Start")
    for case in OF_AN_EXEC:
        args, process, codes, status, text = TABLE[case]
        c.call("Exec", exec_id=case.replace("_", "-"), spec=exec_spec(*args, **process))
        with pytest.raises(RpcError) as raised:
            c.call("Start", exec_id=case.replace("_", "-"))
        check(raised, codes, text)
        assert c.call("Wait", exec_id=case.replace("_", "-")).exit_status == status, case
        c.call("Delete", exec_id=case.replace("_", "-"))
    # a container's working directory is made in the view, an exec finds what is there
    c.call("Exec", exec_id="cwd", spec=exec_spec("/bin/true", cwd="/srv/reaper-missing"))
    with pytest.raises(RpcError, match="working directory /srv/reaper-missing: No such file or directory"):
        c.call("Start", exec_id="cwd")
    with pytest.raises(RpcError, match='process.user.username: "slurm"'):
        c.call("Exec", exec_id="name", spec=exec_spec("/bin/true", user={"username": "slurm"}))
    assert c.call("State").status == "RUNNING"
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_a_busy_program(bench, commands):
    shutil.copy("/bin/true", commands / "busy")
    with (commands / "busy").open("r+b"):
        try:
            subprocess.run([commands / "busy"], check=True)
            refused = False  # Linux 6.11 and 6.12.0 run it
        except OSError:
            refused = True
        c = container(bench, commands, f"{D}/busy")
        c.create()
        if refused:
            with pytest.raises(RpcError, match=f"{D}/busy: is open for writing by somebody"):
                c.call("Start")
        else:
            c.call("Start")
        assert c.call("Wait").exit_status == (126 if refused else 0)
    c.end()


def test_a_long_search_path_does_not_hide_the_name(bench, commands):
    path = ":".join(f"/opt/a-rather-long-directory-name/{i}" for i in range(200))
    c = container(bench, commands, "no-such-daemon", env=[f"PATH={path}"])
    with pytest.raises(RpcError) as raised:
        c.create()
    check(raised, NOT_FOUND, "no-such-daemon: not found; searched /opt/a-rather-long-directory-name/0:")
    c.end(delete=False)
