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
        /usr/lib/systemd/system/reaper-*.service /usr/lib/systemd/system/reaper-*.timer \
        /etc/systemd/system/reaper-*.service /etc/systemd/system/*.wants/reaper-*.service /etc/systemd/system/*.wants/reaper-*.timer \
        /usr/lib/systemd/system-preset/50-reaper.preset \
        /etc/apt/sources.list.d/reaper.sources /etc/apt/keyrings/reaper.asc /etc/yum.repos.d/reaper.repo \
        /etc/pki/rpm-gpg/RPM-GPG-KEY-reaper /etc/needrestart/conf.d/reaper.conf \
        /usr/share/bash-completion/completions/reaperctl /usr/share/fish/vendor_completions.d/reaperctl.fish \
        /usr/share/zsh/vendor-completions/_reaperctl /usr/share/zsh/site-functions/_reaperctl \
        /usr/share/doc/reaper /usr/share/licenses/reaper /usr/share/reaper /usr/share/lintian/overrides/reaper \
        /usr/share/selinux/packages/reaper \
        /usr/share/man/man8/containerd-shim-reaper-v2.8.gz /usr/share/man/man8/reaper-runtime.8.gz \
        /usr/share/man/man8/reaperctl.8.gz /etc/reaper /var/lib/reaper /run/reaper-job; do
        # a unit that is switched on is a link to one that may have gone before it
        if { [ -e "$each" ] || [ -L "$each" ]; } && ! owned "$each"; then echo "$each"; fi
    done
}
found=$(list)
[ -n "$found" ] || return 0
echo "$found"
[ "$dry" != dry ] || return 0
if [ -d /run/systemd/system ]; then systemctl --quiet stop reaper-metrics.timer reaper-metrics.service 2>/dev/null; fi
# Debian keeps beside the link that it made one
if command -v deb-systemd-helper >/dev/null; then deb-systemd-helper purge reaper-boot.service >/dev/null 2>&1; fi
if command -v semodule >/dev/null; then semodule -r reaper >/dev/null 2>&1; fi
echo "$found" | while read -r each; do
    rm -rf -- "$each" || exit
    # a directory that only held this one, as the package would do
    each=${each%/*}
    while ! owned "$each" && rmdir "$each" 2>/dev/null; do each=${each%/*}; done
done || return
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
"""


class ActionModule(NodeAction):
    def run_on_node(self, args):
        out = self.must("what is left cannot be removed", SCRIPT, "dry" if self.check_mode else "wet")
        files = out.split()
        return {"changed": bool(files), "files": files, "msg": " ".join(files) or "nothing is left"}
