"""reaper_containerd: brings the runtime into a node's containerd, or takes it out.

    state:    present (default), absent, or verified (changes nothing, fails if a check of
              `reaperctl doctor` does)
    package:  the .deb on the control machine; check mode takes reaperctl out of it where the node
              has none or another one, so that the plan is that of the package to come
    timeout:  seconds that containerd gets to become healthy after a restart (default: reaperctl's)
    config, unit:  passed on to reaperctl
    force:    passed on to reaperctl (absent: also with pods that run)

All the work is done by reaperctl on the node: the proof before the write, the restart,
the look at containerd's health, the way back. This maps its answer onto changed, diff and failed.
"""

import json
import os
import sys

from ansible.module_utils.parsing.convert_bool import boolean

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import (  # noqa: E402  pylint: disable=wrong-import-position
    NodeAction,
    NodeError,
    last_lines,
    sha256,
)

COMMANDS = {
    "present": ["containerd", "apply"],
    "absent": ["containerd", "undo"],
    # every check of a node, those of containerd among them (docs/CHECKS.md)
    "verified": ["doctor"],
}

PROBE = r"""
command -v reaperctl || echo
sha256sum /var/lib/reaper/packages/current.deb 2>/dev/null | cut -d ' ' -f 1
return 0
"""

# The answer as JSON; for a dry run that shows differences, the text with the difference behind it.
RUN = r"""
command -v reaperctl >/dev/null || { echo "this node has no reaperctl" >&2; return 127; }
diff=$1
shift
reaperctl "$@" --json || rc=$?
if [ "$diff" = diff ]; then
    echo
    echo "=== diff"
    reaperctl "$@" --diff 2>/dev/null
fi
return "${rc:-0}"
"""

# reaperctl of the package to come, from a tmpfs that only this one process sees: nothing of it is
# on the node's disk, and nothing is left, whatever happens.
RUN_FROM_PACKAGE = r"""
export REAPER_DEB=$1 REAPER_RUN=$2
shift 2
exec unshare --mount --propagation private sh -c '
    mount -t tmpfs -o mode=0700 reaper "${REAPER_DEB%/*}/mnt" &&
    dpkg-deb --fsys-tarfile "$REAPER_DEB" | tar -xf - -C "${REAPER_DEB%/*}/mnt" ./usr/bin || exit 1
    PATH=${REAPER_DEB%/*}/mnt/usr/bin:$PATH
    eval "main() { $REAPER_RUN
}"
    main "$@"' sh "$@"
"""
DIFF_MARK = "\n=== diff\n"


class ActionModule(NodeAction):
    ARGUMENTS = {
        "state": "present",
        "package": None,
        "timeout": None,
        "config": None,
        "unit": None,
        "force": False,
    }

    def run_on_node(self, args):
        if args["state"] not in COMMANDS:
            raise NodeError("state is one of %s" % ", ".join(COMMANDS))
        command = list(COMMANDS[args["state"]])
        for name in ("timeout", "config", "unit"):
            if args[name] is not None and (name, args["state"]) != ("timeout", "verified"):
                command += ["--" + name, str(args[name])]
        if boolean(args["force"]):
            command.append("--force")
        dry = self.check_mode and args["state"] != "verified"
        if dry:
            command.append("--dry-run")
        command.insert(0, "diff" if dry and self._task.diff else "no-diff")

        reaperctl, kept = (self.must("no answer", PROBE).split("\n") + ["", ""])[:2]
        package = args["package"]
        if dry and package and (not reaperctl or kept.strip() != sha256(package)):
            if args["state"] == "absent":
                return {"changed": False, "msg": "Reaper is not on this node"}
            return self.outcome(*self.run_from_package(package, command))
        if not reaperctl and args["state"] == "absent":
            return {"changed": False, "msg": "Reaper is not on this node"}
        return self.outcome(*self.script(RUN, *command))

    def run_from_package(self, package, command):
        directory, target = self.upload(package)
        try:
            self.must("no place for reaperctl", 'mkdir "$1/mnt"', directory, become=False)
            return self.script(RUN_FROM_PACKAGE, target, RUN, *command)
        finally:
            self.remove(directory)

    def outcome(self, rc, out, err):
        out, _, diff = out.partition(DIFF_MARK)
        answer = parse(out)
        result = {"rc": rc, "changed": changed(answer), "reaper": answer}
        # the lines of the difference, without what reaperctl says behind them
        diff = diff.partition("\nreaperctl: ")[0]
        if diff.startswith("--- "):
            result["diff"] = {"prepared": diff + "\n"}
        result["msg"] = (
            answer.get("message")
            or failed_check(answer)
            or last_lines(err)
            or "reaperctl gave no answer (exit %d): %s" % (rc, last_lines(out))
        )
        # said in any case, since Ansible takes every rc but 0 for a failure
        result["failed"] = rc not in (0, 10) or not answer
        if result["failed"]:
            result["changed"] = rc == 5
            result["stderr"] = err
            if answer.get("next"):
                result["msg"] += " (next: %s)" % answer["next"]
        return result


def failed_check(answer):
    """The first check of `reaperctl doctor` that failed, and what to do."""
    for name, check in answer.get("checks", {}).items():
        if check.get("result") == "failed":
            return "%s: %s (next: %s)" % (name, check.get("why"), check.get("next"))
    return "every check of the node is passed" if "checks" in answer else None


def changed(answer):
    """Whether the node's configuration changed, or would change (a dry run: pending, change)."""
    if answer.get("result") == "changed" or answer.get("reason") == "change":
        return True
    # written, and waiting for a containerd that does not run
    before, after = answer.get("hash_before"), answer.get("hash_after")
    return answer.get("result") == "pending" and bool(after) and before != after


def parse(out):
    try:
        answer = json.loads(out)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
