"""Holding the next child of a process before it runs anything, as a tracer among its relatives may."""

import ctypes
import os
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, CONT, DETACH, SETOPTIONS, GETEVENTMSG = 0x4206, 7, 17, 0x4200, 0x4201
BIRTHS = 0x2 | 0x4 | 0x8  # PTRACE_O_TRACEFORK, VFORK, CLONE
WALL = 0x40000000


def ptrace(request, pid, data=None):
    if LIBC.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {pid}")


class HeldBirth:
    """Seizes `pid`; wait() lets it go on until it has made a child, of which it returns the pid. The child stands at
    its first instruction until the end of the block."""

    def __init__(self, pid):
        self.pid = pid
        self.child = None

    def __enter__(self):
        ptrace(SEIZE, self.pid, BIRTHS)
        return self

    def wait(self, meanwhile=None):
        """`meanwhile` is called when the child is there and its parent still stands in the call that has made it."""
        while True:
            _, status = os.waitpid(self.pid, WALL)
            assert os.WIFSTOPPED(status), status
            if status >> 16 in (1, 2, 3):  # PTRACE_EVENT_FORK, VFORK, CLONE
                child = ctypes.c_ulong()
                ptrace(GETEVENTMSG, self.pid, ctypes.byref(child))
                self.child = child.value
                os.waitpid(self.child, WALL)
                if meanwhile:
                    meanwhile()
                ptrace(SETOPTIONS, self.pid, 0)  # its further children are left alone
                ptrace(CONT, self.pid)
                return self.child
            ptrace(CONT, self.pid, 0 if status >> 16 else os.WSTOPSIG(status))

    def __exit__(self, *_):
        if self.child:
            try:
                ptrace(DETACH, self.child)
            except ProcessLookupError:  # it was killed: its parent hears of it when the tracer has
                os.waitpid(self.child, WALL)
        os.kill(self.pid, signal.SIGSTOP)  # only a stopped one can be let go
        while True:
            _, status = os.waitpid(self.pid, WALL)
            if not status >> 16 and os.WSTOPSIG(status) == signal.SIGSTOP:
                break
            ptrace(CONT, self.pid, 0 if status >> 16 else os.WSTOPSIG(status))
        ptrace(DETACH, self.pid)
