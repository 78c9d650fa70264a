"""The connection to a node that is a directory of this machine (tests/support/simulated.py makes it).

A command runs here, in a mount namespace where the tree's etc, run and var are /etc, /run and /var and its
programs come first on PATH.
"""

import shlex

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

    def exec_command(self, cmd, in_data=None, sudoable=True):
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, self._play_context.remote_addr, cmd]
        return super().exec_command(shlex.join(words), in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path, out_path):
        super().put_file(in_path, self._play_context.remote_addr + out_path)
