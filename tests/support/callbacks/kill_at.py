"""The control machine dies: all of ansible-playbook's session is killed at a task, some time after its start.

REAPER_TEST_KILL_AT is the task's number, counted over all nodes, or its action's name; REAPER_TEST_KILL_AFTER the
seconds after it.
"""

import os
import signal
import threading

from ansible.plugins.callback import CallbackBase


def die():
    """Every process of the session, for a worker may have a group of its own."""
    own = os.getsid(0)
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if os.getsid(int(name)) == own or parent(name) in (os.getpid(), own):
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                pass
    os.kill(os.getpid(), signal.SIGKILL)


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_at"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self):
        super().__init__()
        self.at = os.environ["REAPER_TEST_KILL_AT"]
        self.count = 0

    def v2_runner_on_start(self, host, task):
        self.count += 1
        if self.at in (str(self.count), task.action):
            threading.Timer(float(os.environ["REAPER_TEST_KILL_AFTER"]), die).start()
