"""A pod's securityContext as its program sees it: absolute values, all of one spec at once."""

import pytest

from bench import spec

pytestmark = pytest.mark.submission("what is not enforced is a hole; milliseconds")

OUT = "/srv/reaper-confined"

# each line is one thing; the names are those of the spec
SCRIPT = f"""
exec > {OUT}/seen 2>&1
LC_ALL=C
status() {{ sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }}
echo "user $(id -u) $(id -g) $(id -G)"
echo "bounding $(status CapBnd) permitted $(status CapPrm) effective $(status CapEff) inheritable $(status CapInh) ambient $(status CapAmb)"
echo "noNewPrivileges $(status NoNewPrivs)"
echo "seccomp $(status Seccomp)"
echo "signals ignored $(status SigIgn) blocked $(status SigBlk)"
echo "rlimit $(ulimit -Sn) $(ulimit -Hn)"
echo "umask $(umask)"
echo "oom $(cat /proc/self/oom_score_adj)"
echo "masked $(wc -c < /proc/keys) $(ls /sys/firmware 2> /dev/null | wc -l)"
(echo x > /proc/sys/kernel/domainname) 2>/dev/null && echo "readonlyPaths open" || echo "readonlyPaths closed"
(echo x > /etc/reaper-x) 2>&1 | grep -o "Read-only file system"
echo volume > {OUT}/volume && echo "volume writable"
mkdir {OUT}/d 2>&1 | grep -o "Operation not permitted"
dd if=/dev/mem of=/dev/null count=1 2>&1 | grep -o "No such file"
kill -0 1 && echo "init $$"
env | sed 's/=.*//' | grep -v -x -e _ -e OLDPWD -e PWD -e LC_ALL -e SHLVL | sort | tr '\\n' ' '
"""


def test_everything_that_a_spec_asks_for(bench):
    shared = bench.directory / "out"
    shared.mkdir()
    shared.chmod(0o777)
    mounts = spec("x")["mounts"]
    mounts.append({"destination": OUT, "type": "bind", "source": str(shared), "options": ["rbind"]})
    linux = spec("x")["linux"]
    linux["maskedPaths"] = ["/proc/keys", "/sys/firmware"]
    linux["readonlyPaths"] = ["/proc/sys"]
    linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}  # fmt: skip
    chown, kill, bind = "CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"
    c = bench.container(
        "/bin/sh", "-c", SCRIPT, mounts=mounts, linux=linux, root={"path": "rootfs", "readonly": True},
        process={
            "user": {"uid": 1000, "gid": 2000, "additionalGids": [3000], "umask": 0o77},
            "capabilities": {"bounding": [chown, kill, bind], "permitted": [kill, bind], "effective": [kill, bind],
                             "inheritable": [kill, bind], "ambient": [kill, bind]},
            "noNewPrivileges": True, "oomScoreAdj": 777,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 111}],
            "env": ["PATH=/usr/bin:/bin", "OF_THE_SPEC=1"],
        },
    )  # fmt: skip
    c.create()
    c.call("Start")
    c.call("Wait")
    seen = (shared / "seen").read_text().splitlines()
    assert seen == [
        "user 1000 2000 2000 3000",
        "bounding 0000000000000421 permitted 0000000000000420 effective 0000000000000420 "
        "inheritable 0000000000000420 ambient 0000000000000420",
        "noNewPrivileges 1",
        "seccomp 2",
        "signals ignored 0000000000000000 blocked 0000000000000000",
        "rlimit 99 111",
        "umask 0077",
        "oom 777",
        "masked 0 0",
        "readonlyPaths closed",
        "Read-only file system",
        "volume writable",
        "Operation not permitted",
        "No such file",
        "init 1",
        "HOME OF_THE_SPEC PATH ",
    ]
    c.end()
