"""The annotation reaper.runtime/user: who a container is by name.

The node's databases are replaced for the test by bind mounts over their files; `dana` is in none
of the files, only an NSS module knows her.
"""

import contextlib
import os
import pathlib

import pytest

from bench import exec_spec
from machine import descendants, run
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("names decide rights; milliseconds")

PASSWD = """root:x:0:0:root:/root:/bin/sh
toor:x:0:0:another root:/root:/bin/sh
alice:x:41001:41001:Alice:/home/alice:/bin/zsh
"""
GROUP = """root:x:0:
alice:x:41001:
video:x:41044:alice,bob
disk:x:41006:alice
"""
NSSWITCH = "passwd: files hesiod\ngroup: files hesiod\n"
SEEN = 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME $SHELL"'


@contextlib.contextmanager
def over(source, target):
    run(["mount", "--bind", str(source), target])
    try:
        yield
    finally:
        run(["umount", target])


@pytest.fixture
def names(bench):
    """The node's databases; returns the file that is its /etc/passwd."""
    made = bench.directory / "names"
    made.mkdir()
    files = {"/etc/passwd": PASSWD, "/etc/group": GROUP, "/etc/nsswitch.conf": NSSWITCH}
    with contextlib.ExitStack() as stack:
        for path, text in files.items():
            file = made / os.path.basename(path)
            file.write_text(text)
            stack.enter_context(over(file, path))
        yield made / "passwd"


# an NSS module that knows one user and his two groups, as a directory's would
MODULE = r"""
#include <nss.h>
#include <pwd.h>
#include <grp.h>
#include <string.h>

enum nss_status _nss_hesiod_getpwnam_r(const char *n, struct passwd *p, char *b, size_t l, int *e)
{
	(void)b, (void)l, (void)e;
	if (strcmp(n, "dana"))
		return NSS_STATUS_NOTFOUND;
	*p = (struct passwd) {"dana", "x", 41002, 41002, "Dana", "/srv/dana", "/bin/bash"};
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_hesiod_initgroups_dyn(const char *n, gid_t g, long *at, long *size, gid_t **v,
	long limit, int *e)
{
	(void)g, (void)size, (void)limit, (void)e;
	if (strcmp(n, "dana"))
		return NSS_STATUS_NOTFOUND;
	(*v)[(*at)++] = 41100;
	(*v)[(*at)++] = 41101;
	return NSS_STATUS_SUCCESS;
}
"""


@pytest.fixture
def directory(bench):
    """A service that is no file: its NSS module stands in for the one of a service that nobody has."""
    module = bench.directory / "libnss_hesiod.so.2"
    run(["cc", "-shared", "-fPIC", "-x", "c", "-o", module, "-"], input=MODULE)
    with over(module, "/lib/x86_64-linux-gnu/libnss_hesiod.so.2"):
        yield


def named(bench, user, script=SEEN, name="one", process=None, before=None):
    """A container with the annotation that runs the script; its output."""
    c = bench.container("/bin/sh", "-c", script, name=name, process=process or {},
                        annotations={"reaper.runtime/user": user})  # fmt: skip
    stdout = c.fifo("stdout")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    try:
        c.create(stdout=stdout)
    except RpcError:
        os.close(reader)
        c.end(delete=False)
        raise
    c.call("Start")
    if before:
        before(c)
    c.call("Wait")
    os.set_blocking(reader, True)
    with os.fdopen(reader) as file:
        text = file.read().strip()
    c.end()
    return text


def refused(bench, user, **fields):
    with pytest.raises(RpcError) as error:
        named(bench, user, **fields)
    return str(error.value)


def test_a_user_of_the_files_has_all_his_groups_and_names(bench, names):
    assert named(bench, "alice") == (
        "41001 41001 41001 41006 41044 /home/alice alice alice /bin/zsh")  # fmt: skip


def test_a_user_whom_only_an_nss_module_knows(bench, names, directory):
    assert named(bench, "dana") == (
        "41002 41002 41002 41100 41101 /srv/dana dana dana /bin/bash")  # fmt: skip


def test_what_the_pod_says_itself_stays(bench, names):
    """fsGroup, runAsGroup and variables of the pod; root's own group goes."""
    process = {"user": {"uid": 0, "gid": 41500, "additionalGids": [0, 41600]},
               "env": ["PATH=/usr/bin:/bin", "HOME=/tmp", "SHELL=/bin/dash"]}  # fmt: skip
    assert named(bench, "alice", process=process) == (
        "41001 41500 41500 41001 41006 41044 41600 /tmp alice alice /bin/dash")  # fmt: skip


def test_an_unknown_user_is_an_error_that_names_it(bench, names):
    assert "no-such-user: this node knows no user of this name" in refused(bench, "no-such-user")


@pytest.mark.parametrize("user", ["0", "41001", "-s", "a b", "../alice"])
def test_what_is_no_name_is_refused(bench, names, user):
    assert "a user's name without blanks" in refused(bench, user)


@pytest.mark.parametrize("user", ["root", "toor", "alice"])
def test_an_annotation_gives_no_other_rights_than_the_spec(bench, names, user):
    """runAsUser (and with it runAsNonRoot) is what the pod's admission has judged."""
    text = refused(bench, user, process={"user": {"uid": 41002, "gid": 41002}})
    assert f"{user} is user" in text and "the pod's spec says user 41002" in text


def test_a_spec_that_says_the_same_user_gets_the_names_and_no_groups(bench, names):
    process = {"user": {"uid": 41001, "gid": 41001, "additionalGids": [41700]}}
    assert named(bench, "alice", process=process) == (
        "41001 41001 41001 41700 /home/alice alice alice /bin/zsh")  # fmt: skip


def test_an_exec_is_the_same_user_even_when_the_node_has_forgotten_him(bench, names):
    seen = bench.directory / "seen"

    def execute(c):
        names.write_text(PASSWD.replace("alice", "nobody-any-more"))
        for number, user in enumerate([{"uid": 0, "gid": 0}, {"uid": 41009, "gid": 41009}]):
            seen.write_text("")
            identifier = f"e{number}"
            fifo = c.fifo(identifier)
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            c.call("Exec", exec_id=identifier, stdout=fifo,
                   spec=exec_spec("/bin/sh", "-c", SEEN, user=user))  # fmt: skip
            c.call("Start", exec_id=identifier)
            c.call("Wait", exec_id=identifier)
            os.set_blocking(reader, True)
            with os.fdopen(reader) as file:
                said.append(file.read().strip())
            c.call("Delete", exec_id=identifier)
        c.call("Kill", signal=9)

    said = []
    named(bench, "alice", script="exec sleep 1000", before=execute)
    # the administrator's own `ctr tasks exec --user` is honoured
    assert said == ["41001 41001 41001 41006 41044 /home/alice alice alice /bin/zsh",
                    "41009 41009 41009 /"]  # fmt: skip


def sleeper_of(shim):
    for pid in descendants(shim):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0" b"1000\0":
                return pid
    return None


def test_a_database_that_does_not_answer_holds_no_shim_up(bench, names):
    """A getent that hangs is the child's matter; the shim answers meanwhile."""
    program, pid = bench.directory / "getent", bench.directory / "getent.pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 1000\n")
    program.chmod(0o755)
    with over(program, "/usr/bin/getent"):
        c = bench.container("/bin/true", annotations={"reaper.runtime/user": "alice"})
        pending = c.task.begin("Create", id=c.name, bundle=str(c.bundle))
        until(lambda: pid.exists() and pid.read_text().strip(), what="getent")
        assert c.another().call("Connect", id=c.name).shim_pid == c.shim_pid
        os.kill(until(lambda: sleeper_of(c.shim_pid), what="the program that hangs"), 9)
        with pytest.raises(RpcError, match="getent passwd alice: exit status 137"):
            c.task.end("Create", pending)
    c.end(delete=False)
