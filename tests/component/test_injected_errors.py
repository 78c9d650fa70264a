"""Each system call of a task's life fails once, with an error that it can have: a clear answer or success, never a
call that is not answered, a shim that ends, a wrong exit code or something left behind."""

import pytest

from faults import sample
from life import PLACES, place_name

# error, and the calls that can have it. Not brk and munmap, whose failure libc does not hand on; not close, which
# frees the descriptor whatever it says.
FAILING = {
    "ENOMEM": """mmap clone3 openat openat2 read mkdir mkdirat mount move_mount open_tree fsopen fsmount fsconfig mount_setattr
        socket socketpair epoll_ctl setns unshare pivot_root statx newfstatat readlink readlinkat umount2 prctl seccomp""",
    "EMFILE": """openat openat2 socket socketpair pipe2 epoll_create1 accept4 memfd_create eventfd2 signalfd4 timerfd_create
        pidfd_open open_tree fsopen fsmount fcntl inotify_init1""",
    "ENOSPC": "openat write pwrite64 mkdir mkdirat mknodat mknod mount fsmount move_mount rename renameat renameat2 symlinkat fsync",
    "EIO": """read write openat openat2 newfstatat fstat statx getdents64 readlink readlinkat unlink unlinkat rmdir rename renameat
        ftruncate fsync sendto sendmsg lseek""",
    "EINTR": """read write openat openat2 recvfrom recvmsg sendto sendmsg poll ppoll epoll_wait epoll_pwait accept4 connect flock
        waitid fsync close_range""",
    "EAGAIN": "clone3 recvfrom recvmsg accept4 setuid setresuid setgroups connect sendto",
}  # fmt: skip
CALLS = {error: calls.split() for error, calls in FAILING.items()}


def numbers_of(lives, place, tmp_path):
    """{error: how many calls of the program can have it}"""
    pod, program = place
    life, wrong = lives(pod, program, list=tmp_path / "calls")
    assert not wrong and not life.errors, (wrong, life.errors)
    made = [line.split()[2] for line in (tmp_path / "calls").read_text().splitlines()]
    return {error: sum(name in calls for name in made) for error, calls in CALLS.items()}


def fail(lives, place, error, numbers, failures):
    pod, program = place
    for n in numbers:
        life, wrong = lives(pod, program, call=CALLS[error], at=n, action=error)
        if wrong:
            failures.append(f"{error} at {n} ({life.report.call}): " + "; ".join(wrong[:4]))


@pytest.mark.submission("a call that fails must not cost a pod or leave a piece of one; some of this commit's own")
@pytest.mark.parametrize("place", PLACES, ids=place_name)
def test_a_call_fails(lives, tmp_path, place):
    failures = []
    totals = numbers_of(lives, place, tmp_path)
    some = [list(CALLS)[n - 1] for n in sample(len(CALLS), 3)]
    for error in some:
        fail(lives, place, error, sample(totals[error], 1), failures)
    assert not failures, "\n".join(failures)


@pytest.mark.full("every call of the short programs; of the shim and of init sixty for each error")
@pytest.mark.parametrize("error", CALLS)
@pytest.mark.parametrize("place", PLACES, ids=place_name)
def test_every_call_fails(lives, tmp_path, place, error):
    failures = []
    total = numbers_of(lives, place, tmp_path)[error]
    fail(lives, place, error, sample(total, 60), failures)
    assert not failures, f"{len(failures)} of {total}: " + "\n".join(failures[:8])


@pytest.mark.submission("a word that could not be sent is waited for by somebody: some sixty lives of a fifth of a second")
@pytest.mark.parametrize("error, words", [("ENOBUFS", "No buffer space available"), ("EIO", "Input/output error")])
def test_a_message_is_not_sent(lives, tmp_path, error, words):
    """To a child: it is ended, and its call has an error. To a client: it is sent later."""
    failures, seen = [], 0
    life, wrong = lives(False, "shim", call=["sendmsg"], list=tmp_path / "calls")
    for n in range(1, life.report.calls + 1):
        life, wrong = lives(False, "shim", call=["sendmsg"], at=n, action=error)
        told = [line for line in life.errors if words in line]
        seen += len(told) > 0
        if wrong:
            failures.append(f"at {n}: {'; '.join(wrong[:4])}")
    assert not failures, "\n".join(failures)
    assert seen >= 2  # the gate of the container's first process and that of its exec


@pytest.mark.submission("calls that hold up a whole pod where their failure is not expected: some forty lives")
@pytest.mark.parametrize("pod, program, call, error", [(True, "shim", "setns", "ENOMEM"), (True, "sandbox", "close_range", "ENOSYS"),
                                                      (False, "shim", "close_range", "ENOSYS"),
                                                      (False, "shim", "write", "ENOSPC"),
                                                      (False, "shim", "waitid", "EINTR")])  # fmt: skip
def test_each_of_these_fails(lives, pod, program, call, error):
    """The way back from the pod's pid namespace; a kernel, or a seccomp profile, without close_range; what goes to and fro
    on stdin and stdout, and the records; the end of a child, of which the kernel says nothing more."""
    life, wrong = lives(pod, program, call=[call])
    failures = [wrong] if wrong else []
    for n in range(1, life.report.calls + 1):
        _, wrong = lives(pod, program, call=[call], at=n, action=error)
        failures += [f"{call} at {n}: {'; '.join(wrong[:4])}"] if wrong else []
    assert not failures, "\n".join(failures)
