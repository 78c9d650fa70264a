"""The connection to a node that is a directory of this machine (tests/support/simulated.py makes it).

A command runs here, in a mount namespace where the tree's etc, run and var are /etc, /run and /var and its
programs come first on PATH.

A tree with a file `fault`, "NUMBER HOW", has a fault at that command, counted from 1: `refused`, it fails there;
`lost`, the connection ends before it; `late`, after it, so that nobody hears what became of it. A connection that
was lost stays lost.
"""

import pathlib
import shlex

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: tree
short_description: a directory as a node
description: for tests
options:
  pipelining:
    type: bool
    default: true
    description: as of every connection
extends_documentation_fragment: []
"""

ENTER = (
    'for d in etc run var; do mount --bind "$0/$d" "/$d" || exit 255; done; PATH=$0/bin:$PATH; REAPER_TREE=$0; '
    'export PATH REAPER_TREE; exec /bin/sh -c "$1"'
)


class Connection(Local):
    transport = "tree"
    has_pipelining = True

    def fault(self):
        """What is wrong with the next command."""
        top = pathlib.Path(self._play_context.remote_addr)
        if not (top / "fault").exists():
            return ""
        at, how = (top / "fault").read_text().split()
        calls = top / "calls"
        count = len(calls.read_text()) + 1 if calls.exists() else 1
        calls.write_text("." * count)
        if count == int(at):
            return how
        return "lost" if count > int(at) and how != "refused" else ""

    def exec_command(self, cmd, in_data=None, sudoable=True):
        how = self.fault()
        if how == "lost":
            raise AnsibleConnectionFailure("the connection is lost")
        if how == "refused":
            return 1, b"", b"refused by the test"
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, self._play_context.remote_addr, cmd]
        answer = super().exec_command(shlex.join(words), in_data=in_data, sudoable=sudoable)
        if how == "late":
            raise AnsibleConnectionFailure("the connection is lost")
        return answer

    def put_file(self, in_path, out_path):
        super().put_file(in_path, self._play_context.remote_addr + out_path)
