"""reaper_remnants: removes files of Reaper that no package owns (any more).

A node whose package database was restored from elsewhere, or that had Reaper by hand, keeps programs
and state that neither apt nor dnf knows. Files that a package owns stay.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import NodeAction  # noqa: E402  pylint: disable=wrong-import-position

SCRIPT = r"""
dry=$1
owned() {
    dpkg-query -S "$1" >/dev/null 2>&1 || rpm -qf "$1" >/dev/null 2>&1
}
installed() {
    dpkg-query -W -f '${db:Status-Status}' reaper 2>/dev/null | grep -qx 'installed\|config-files' || rpm -q reaper >/dev/null 2>&1
}
# a package that is there removes its files itself
! installed || return 0
list() {
    for each in /usr/bin/containerd-shim-reaper-v2 /usr/bin/reaper-runtime /usr/bin/reaperctl \
        /usr/local/bin/containerd-shim-reaper-v2 /usr/local/bin/reaper-runtime /usr/local/bin/reaperctl \
        /usr/lib/systemd/system/reaper-boot.service /etc/systemd/system/reaper-boot.service \
        /etc/apt/sources.list.d/reaper.sources /etc/apt/keyrings/reaper.asc /etc/yum.repos.d/reaper.repo \
        /etc/reaper /var/lib/reaper /run/reaper-job; do
        if [ -e "$each" ] && ! owned "$each"; then echo "$each"; fi
    done
}
list
[ "$dry" = dry ] || list | while read -r each; do rm -rf -- "$each"; done
"""


class ActionModule(NodeAction):
    def run_on_node(self, args):
        out = self.must("what is left cannot be removed", SCRIPT, "dry" if self.check_mode else "wet")
        files = out.split()
        return {"changed": bool(files), "files": files, "msg": " ".join(files) or "nothing is left"}
