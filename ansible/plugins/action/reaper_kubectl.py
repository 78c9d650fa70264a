"""reaper_kubectl: one call of kubectl, on the control machine or, delegated, on a node that has it.

    argv:     the arguments
    stdin:    what it reads
    context:  the context on the control machine; without one kubectl runs where the task is delegated
              to, with the cluster administrator's kubeconfig of a control plane
    ok_rc:    exit statuses that are no failure besides 0
    patience: seconds for which an API server that is away is asked again: that of a cluster with one control
              plane may start anew with its containerd (default: reaper_kube_patience)
    stubborn: it is asked again whatever the answer was
    limit:    seconds that one call may take, beside what its own --timeout says (default: reaper_kube_timeout);
              kubectl itself waits for ever on a server that takes the connection and says nothing

`changed` is what the caller says with changed_when; in check mode only calls that read are made.
"""

import os
import re
import shlex
import subprocess
import sys
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import NodeAction, NodeError, last_lines  # noqa: E402  pylint: disable=wrong-import-position

READING = ("get", "wait", "auth", "version", "config", "rollout")
# what kubectl says when nobody has looked at the request
AWAY = re.compile(
    r"no answer within|connection refused|connection reset|was refused|\bEOF\b|i/o timeout|TLS handshake timeout"
    r"|http2: client connection|ServiceUnavailable|apiserver not ready|etcdserver: (leader changed|request timed out)"
)
# What a server says that started this second, too: it serves before it has read who may do what.
FORBIDDEN = re.compile(r"Error from server \(Forbidden\)")
READY = ["get", "--raw", "/readyz"]
PAUSE = 2
NO_ANSWER = 124  # timeout's own exit status
ON_A_NODE = r"""
for config in /etc/kubernetes/admin.conf /etc/rancher/rke2/rke2.yaml /etc/rancher/k3s/k3s.yaml "$HOME/.kube/config"; do
    if [ -r "$config" ]; then export KUBECONFIG=$config; break; fi
done
PATH=$PATH:/usr/local/bin:/var/lib/rancher/rke2/bin
printf %s "$2" | { limit=$1; shift 2; timeout -k 5 "$limit" kubectl "$@"; }
"""


class ActionModule(NodeAction):
    ARGUMENTS = {"argv": None, "stdin": "", "context": None, "ok_rc": [], "patience": None, "stubborn": False, "limit": None}

    def run_on_node(self, args):
        argv = [str(word) for word in args["argv"] or []]
        if not argv:
            raise NodeError("argv is missing")
        if self.check_mode and argv[0] not in READING:
            return {"changed": True, "skipped": True, "msg": "kubectl %s" % shlex.join(argv)}
        until = time.monotonic() + self.seconds(args["patience"], "reaper_kube_patience", 90)
        stubborn = boolean(args["stubborn"])
        rc, out, err = self.ask(args, argv)
        while rc != 0 and rc not in args["ok_rc"] and time.monotonic() < until and (stubborn or self.too_early(args, err)):
            time.sleep(PAUSE)
            rc, out, err = self.ask(args, argv)
        result = {"changed": argv[0] not in READING, "rc": rc, "stdout": out.strip(), "stderr": err.strip()}
        result["failed"] = rc != 0 and rc not in args["ok_rc"]
        if result["failed"]:
            result["msg"] = "kubectl %s: %s" % (argv[0], last_lines(err or out) or "exit %d" % rc)
        return result

    def too_early(self, args, err):
        """Whether an answer is that of an API server that is away or not ready yet."""
        if FORBIDDEN.search(err):
            return self.ask(dict(args, stdin=""), READY)[0] != 0
        return AWAY.search(err) is not None

    def seconds(self, given, variable, default):
        return float(self._templar.template(self._task_vars.get(variable, default)) if given is None else given)

    def ask(self, args, argv):
        """One call; one without an answer is one that failed, and so is one on a node that cannot be reached."""
        limit = self.seconds(args["limit"], "reaper_kube_timeout", 60)
        limit += sum(int(word[10:-1]) for word in argv if re.fullmatch(r"--timeout=\d+s", word))
        if args["context"]:
            rc, out, err = self.here(["kubectl", "--context", args["context"]] + argv, args["stdin"], limit)
        else:
            try:
                rc, out, err = self.script(ON_A_NODE, "%g" % limit, args["stdin"], *argv)
            except AnsibleConnectionFailure as error:
                # it is not the node of the roll-out, whose way back goes on without the cluster
                raise NodeError("kubectl %s: %s cannot be reached: %s" % (argv[0], self._task.delegate_to, error)) from error
        if rc == NO_ANSWER:
            err = "no answer within %g seconds" % limit
        return rc, out, err

    @staticmethod
    def here(command, text, limit):
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=limit)
        except FileNotFoundError as error:
            raise NodeError("there is no kubectl on the control machine") from error
        except subprocess.TimeoutExpired:
            return NO_ANSWER, "", ""
        return done.returncode, done.stdout, done.stderr
