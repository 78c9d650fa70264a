"""reaper_facts: what a node is, as far as Reaper has to know it, in ansible_facts.reaper_node.

Changes nothing, so it also runs in check mode.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import PACKAGES, PODS, NodeAction  # noqa: E402  pylint: disable=wrong-import-position

SCRIPT = (
    PACKAGES
    + PODS
    + r"""
first() { "$@" 2>/dev/null | head -n 1; }
echo "user=$(id -u)"
echo "kernel=$(uname -r)"
echo "machine=$(uname -m)"
packages=$(packages)
echo "packages=$packages"
case $packages in
deb)
    echo "architecture=$(first dpkg --print-architecture)"
    echo "reaper_status=$(first dpkg-query -W -f '${db:Status-Status}' reaper)"
    echo "reaper_version=$(first dpkg-query -W -f '${Version}' reaper)"
    ;;
rpm)
    echo "architecture=$(uname -m)"
    if rpm -q reaper >/dev/null 2>&1; then
        echo "reaper_status=installed"
        echo "reaper_version=$(first rpm -q --qf '%{VERSION}-%{RELEASE}' reaper)"
    fi
    ;;
esac
for kept in /var/lib/reaper/packages/previous.* /var/lib/reaper/packages/back; do [ ! -e "$kept" ] || echo "previous=$kept"; done
echo "began=$(first cat /var/lib/reaper/packages/began)"
echo "hostname=$(first cat /proc/sys/kernel/hostname)"
echo "pods=$(pods)"
echo "reaperctl=$(command -v reaperctl)"
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo "containerd=$(command -v containerd)"
# upstream's builds, kind's nodes too, say v2.1.4, Debian's 1.7.24~ds1
echo "containerd_version=$(first containerd --version | cut -d ' ' -f 3 | sed 's/^v//')"
if [ -d /run/systemd/system ]; then echo "init=systemd"; else echo "init="; fi
if grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null; then echo "overlay=yes"; fi
echo "free_usr_kib=$(df -Pk /usr | awk 'NR == 2 { print $4 }')"
"""
)

# so that a template never meets an undefined one
NAMES = (
    "user kernel machine packages architecture reaper_status reaper_version reaperctl containerd "
    "containerd_version init overlay free_usr_kib hostname pods previous began"
).split()


class ActionModule(NodeAction):
    def run_on_node(self, args):
        facts = dict.fromkeys(NAMES, "")
        for line in self.must("the node's shell does not answer", SCRIPT).splitlines():
            key, _, value = line.partition("=")
            if key in facts:
                facts[key] = value
        # the version before this roll-out, which may go on where one that died has ended
        now = facts["reaper_version"] if facts["reaper_status"] == "installed" else "none"
        facts["before"] = facts.pop("began") or now
        facts["began"] = int(time.time())
        return {"changed": False, "ansible_facts": {"reaper_node": facts}}
