"""reaper_containerd: brings the runtime into a node's containerd, or takes it out.

    state:    present (default), absent, or verified (changes nothing, fails if a check of
              `reaperctl doctor` does)
    package:  the package on the control machine (as reaper_package takes it: with version, sha256);
              check mode takes reaperctl out of it where the node has none or another one, so that
              the plan is that of the package to come, and absent where the node has none any more
    timeout:  seconds that containerd gets to become healthy after a restart (default: reaperctl's)
    config, unit:  passed on to reaperctl
    force:    passed on to reaperctl (absent: also with pods that run)

All the work is done by reaperctl on the node: the proof before the write, the restart,
the look at containerd's health, the way back. This maps its answer onto changed, diff and failed.

What changes a node is one process there that does not hang on the connection: if that is lost, the
process goes on to its end, and the next run takes its answer first (`earlier`).
"""

import json
import os
import sys

from ansible.module_utils.parsing.convert_bool import boolean

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import (  # noqa: E402  pylint: disable=wrong-import-position
    JOBS,
    PACKAGES,
    PODS,
    NodeAction,
    NodeError,
    last_lines,
)
from reaper_source import choose  # noqa: E402  pylint: disable=wrong-import-position

COMMANDS = {
    "present": ["containerd", "apply"],
    "absent": ["containerd", "undo"],
    # every check of a node, those of containerd among them (docs/CHECKS.md)
    "verified": ["doctor"],
}

# reaperctl, hash of the kept package, format, architecture
PROBE = (
    PACKAGES
    + r"""
command -v reaperctl || echo
cd /var/lib/reaper/packages 2>/dev/null && sha256sum current.deb current.rpm 2>/dev/null | cut -d ' ' -f 1 | grep . || echo
case $(packages) in deb) echo deb; dpkg --print-architecture ;; *) echo rpm; uname -m ;; esac
"""
)

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

# Answers that nobody took come first. A roll-out that has come here has no way back to remember.
RUN_DETACHED = (
    PODS
    + JOBS
    + r"""
command -v reaperctl >/dev/null || { echo "this node has no reaperctl" >&2; return 127; }
shift
job_begin containerd || return
for left in "$dir"/containerd-*.status; do
    [ -e "$left" ] && job_left "$left" || continue
    echo "=== earlier"
    cat "${left%.status}.answer"
    rm -f "${left%.status}".*
done
before=$(pods)
job_run reaperctl "$@" --json
rc=$?
echo "=== answer"
cat "$job.answer"
cat "$job.error" >&2
job_end
case $2:$rc in apply:0 | apply:10) rm -f /var/lib/reaper/packages/began ;; esac
echo
echo "=== pods $before $(pods)"
return "$rc"
"""
)

# reaperctl of the package to come, from a tmpfs that only this one process sees: nothing of it is
# on the node's disk, and nothing is left, whatever happens; nor when nobody waits any more.
RUN_FROM_PACKAGE = r"""
export REAPER_PACKAGE=$1 REAPER_RUN=$2
shift 2
trap 'rm -rf -- "${REAPER_PACKAGE%/*}"' EXIT
unshare --mount --propagation private sh -c '
    mount -t tmpfs -o mode=0700 reaper "${REAPER_PACKAGE%/*}/mnt" && cd "${REAPER_PACKAGE%/*}/mnt" || exit 1
    case $REAPER_PACKAGE in
    *.deb) dpkg-deb --fsys-tarfile "$REAPER_PACKAGE" | tar -xf - ./usr/bin ;;
    *)
        if command -v cpio >/dev/null; then
            rpm2cpio "$REAPER_PACKAGE" | cpio --quiet -idm "./usr/bin/*"
        else
            # a tree of its own, with a database of its own; no script is run
            rpm --root "$PWD" --install --nodeps --noscripts --notriggers --nosignature --excludedocs --ignoresize \
                --quiet "$REAPER_PACKAGE"
        fi ;;
    esac || exit 1
    PATH=$PWD/usr/bin:$PATH
    cd /
    eval "main() { $REAPER_RUN
}"
    main "$@"' sh "$@"
"""
DIFF_MARK = "\n=== diff\n"


class ActionModule(NodeAction):
    ARGUMENTS = {
        "state": "present",
        "package": None,
        "version": None,
        "sha256": None,
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

        reaperctl, kept, kind, arch = (self.must("no answer", PROBE).split("\n") + [""] * 4)[:4]
        gone = not reaperctl and args["state"] == "absent"
        package = None
        if args["package"] and (dry or gone):
            package = choose(args["package"], kind, arch, args["version"], args["sha256"])
        if gone and not package:
            return {"changed": False, "msg": "Reaper is not on this node"}
        if gone or (package and args["state"] == "present" and (not reaperctl or kept != package.sha256)):
            return self.outcome(*self.run_from_package(package.path, command))
        detached = not dry and args["state"] != "verified"
        return self.outcome(*self.script(RUN_DETACHED if detached else RUN, *command))

    def run_from_package(self, package, command):
        directory, target = self.upload(package)
        try:
            self.must("no place for reaperctl", 'mkdir "$1/mnt"', directory, become=False)
            return self.script(RUN_FROM_PACKAGE, target, RUN, *command)
        finally:
            self.remove(directory)

    def outcome(self, rc, out, err):
        earlier, _, out = out.rpartition("=== answer\n")
        out, _, pods = out.partition("\n=== pods ")
        out, _, diff = out.partition(DIFF_MARK)
        answer = parse(out)
        result = {"rc": rc, "changed": changed(answer), "reaper": answer}
        if pods:
            # those that ran before and run still
            result["pods_kept"] = min(int(n) for n in pods.split())
        if answer.get("strategy") == "restore" and answer.get("result") == "changed":
            # reaperctl has compared the bytes that it wrote back with the hash that the file had without our block
            result["config_restored"] = True
        if earlier:
            result["earlier"] = [parse(text) for text in earlier.split("=== earlier\n")[1:]]
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
        if answer.get("reason") == "E_IN_USE":
            result["pods"] = self.pods()
            result["msg"] += ": %s" % (", ".join(result["pods"]) or "reaperctl ps lists them")
        # said in any case, since Ansible takes every rc but 0 for a failure
        result["failed"] = rc not in (0, 10) or not answer
        if result["failed"]:
            result["changed"] = rc == 5
            result["stderr"] = err
            if answer.get("next"):
                result["msg"] += " (next: %s)" % answer["next"]
        return result

    def pods(self):
        """The pods of the runtime on the node, as namespace/name."""
        _rc, out, _err = self.script("reaperctl ps --json")
        rows = parse(out).get("containers", [])
        return sorted({"%s/%s" % (row.get("namespace") or "-", row.get("pod")) for row in rows if row.get("pod")})


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
