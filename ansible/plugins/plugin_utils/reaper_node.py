"""What Reaper's action plugins share: work on a node through its shell and nothing else.

A node needs no Python for it (kind's have none). Scripts go to `sh` on stdin, as Ansible's own
pipelining does it, so that stdout and stderr stay apart and nothing is left behind; files go
through the connection's own transfer. So docker, SSH and every other connection are one code path.
"""

import hashlib
import os
import shlex

from ansible.plugins.action import ActionBase

# A directory that only the login user can enter, on a file system that is no disk if there is one.
# What a control machine that died in the middle of a transfer has left there goes after an hour.
MAKE_DIR = """
umask 077
for parent in /run "${XDG_RUNTIME_DIR:-/run}" /dev/shm "${TMPDIR:-/tmp}" /var/tmp; do
    find "$parent" -maxdepth 1 -type d -user "$(id -u)" -name 'reaper-put-????????' -mmin +60 \
        -exec rm -rf -- {} + 2>/dev/null
    mktemp -d "$parent/reaper-put-XXXXXXXX" 2>/dev/null && return 0
done
echo "no writable directory in /run, /dev/shm, /tmp or /var/tmp" >&2
return 1
"""

# deb or rpm; a machine may have the programs of both, and then it is what its containerd came with.
PACKAGES = r"""
packages() {
    if command -v rpm >/dev/null && rpm -qf "$(command -v containerd)" >/dev/null 2>&1; then
        echo rpm
    elif command -v dpkg >/dev/null; then
        echo deb
    elif command -v rpm >/dev/null; then
        echo rpm
    fi
}
"""

# How many pods run here, of every runtime that has a shim.
PODS = r"""
pods() {
    n=0
    for comm in /proc/[0-9]*/comm; do
        read -r name 2>/dev/null < "$comm" || continue
        [ "$name" != containerd-shim ] || n=$((n + 1))
    done
    echo "$n"
}
"""

# What changes a node is one process there that does not hang on the connection: it goes on to its
# end when that is lost, and a node does one at a time, whoever else rolls out.
#   job_begin KIND   waits for its turn; leaves $dir, where jobs are, and $job, this one's files
#   job_left NAME    whether a job's file is of one whose caller is gone
#   job_run COMMAND… leaves $job.answer and $job.error, and returns the command's exit status
JOBS = r"""
job_begin() {
    dir=/run/reaper-job
    job=$dir/$1-$$
    # of its own, and never removed: who waits for a lock that somebody removes ends up beside the next one
    lock=/run/lock/reaper-job
    [ -d /run/lock ] || lock=$dir.lock
    flock -w 900 "$lock" true || { job_busy; return 6; }
    # the directory goes with the last of them, which may be at this moment
    try=0
    until mkdir -p -m 0700 "$dir" && touch "$job.begun" 2>/dev/null; do
        try=$((try + 1))
        [ "$try" -lt 10 ] || { echo "no place for $job" >&2; return 1; }
    done
    # of a package nobody has to know: the node itself shows what became of it
    for left in "$dir"/package-* "$dir"/*.begun "$dir"/*.waits; do
        if [ -e "$left" ] && job_left "$left"; then rm -f "$left"; fi
    done
}
job_busy() { echo "another run has been at work on this node for 15 minutes" >&2; }
job_left() {
    caller=${1##*-}
    [ ! -d "/proc/${caller%%.*}" ]
}
job_run() {
    # nothing of it is in the session of whoever logged in
    work='job=$1; shift; "$@" >"$job.answer" 2>"$job.error"; echo $? >"$job.new"; mv -f "$job.new" "$job.status"'
    turn='lock=$1 work=$2; shift 2; touch "$1.waits"; exec flock -w 900 "$lock" sh -c "$work" sh "$@"'
    if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
        systemd-run --quiet --wait --collect "--unit=reaper-change-$$" "--setenv=PATH=$PATH" --setenv=LC_ALL=C \
            sh -c "$turn" sh "$lock" "$work" "$job" "$@" >/dev/null 2>&1
    fi
    # systemd did not take it
    if [ ! -e "$job.waits" ]; then
        setsid sh -c "$turn" sh "$lock" "$work" "$job" "$@" &
        wait "$!"
    fi
    if [ ! -e "$job.status" ]; then
        if flock -n "$lock" true; then echo "$1 ended without an answer" >&2; else job_busy; fi
        return 5
    fi
    return "$(cat "$job.status")"
}
job_end() {
    rm -f "$job".*
    rmdir "$dir" 2>/dev/null
}
"""

# The same for a whole script. It is a file, for systemd has a meaning of its own for $ in a command.
RUN_AS_JOB = (
    JOBS
    + r"""
job_begin package || return
printf '%s\n' "$1" >"$job.script" || { job_end; return 1; }
shift
job_run sh "$job.script" "$@"
rc=$?
cat "$job.answer"
cat "$job.error" >&2
job_end
return "$rc"
"""
)


class NodeError(Exception):
    """What ends a task; the text is its message."""


class NodeAction(ActionBase):
    """Base of the action plugins; a subclass has run_on_node() and the names of its arguments."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    ARGUMENTS = {}

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        self._task_vars = task_vars or {}
        unknown = sorted(set(self._task.args) - set(self.ARGUMENTS))
        args = dict(self.ARGUMENTS)
        args.update({k: v for k, v in self._task.args.items() if v is not None})
        try:
            if unknown:
                raise NodeError("unknown argument: %s" % ", ".join(unknown))
            result.update(self.run_on_node(args))
        except NodeError as error:
            result.update(failed=True, msg=str(error))
        return result

    def run_on_node(self, args):
        raise NotImplementedError

    @property
    def check_mode(self):
        return bool(self._task.check_mode)

    def script(self, text, *args, become=True):
        """Runs a script with arguments on the node. Returns (exit status, stdout, stderr)."""
        command = " ".join(["LC_ALL=C", "sh", "-s", "--"] + [shlex.quote(str(a)) for a in args])
        # as a function, so that no command of it reads the script as its input
        body = 'main() {\n%s\n}\nmain "$@" </dev/null\n' % text
        ret = self._low_level_execute_command(
            command, sudoable=become, in_data=body.encode("utf-8")
        )
        out = ret.get("stdout", "").replace("\r\n", "\n")
        err = ret.get("stderr", "").replace("\r\n", "\n")
        return ret["rc"], out, err

    def must(self, what, text, *args, become=True):
        """The same for a script that has to succeed; its reason is the message else."""
        rc, out, err = self.script(text, *args, become=become)
        if rc != 0:
            raise NodeError("%s: %s" % (what, reason(err or out) or "exit %d" % rc))
        return out

    def must_as_job(self, what, text, *args):
        """The same for a script that changes the node, and goes on there if the connection is lost."""
        return self.must(what, RUN_AS_JOB, 'main() {\n%s\n}\nmain "$@"' % text, *args)

    def upload(self, path):
        """Puts a file into a directory of its own on the node; returns (directory, file)."""
        directory = self.must("no place for files", MAKE_DIR, become=False).strip()
        target = directory + "/" + os.path.basename(path)
        try:
            self._connection.put_file(path, target)
        except Exception:
            self.remove(directory)
            raise
        return directory, target

    def remove(self, directory):
        self.script('rm -rf -- "$1"', directory, become=False)


def last_lines(text, count=5):
    """The end of a program's output as one line, which is what fits a message."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " | ".join(lines[-count:])


def reason(text):
    """The lines in which apt and dpkg say what is wrong, else the end of the output."""
    lines = text.splitlines()
    errors = []
    for line, before in zip(lines, [""] + lines):
        # dpkg says of what it was doing that it failed, and in the line behind that, why
        why = before.startswith("dpkg: error") and before.endswith(":")
        if why or line.startswith(("E:", "dpkg:", "reaper:")):
            errors.append(line)
    return last_lines("\n".join(errors) or text)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
