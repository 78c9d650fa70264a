"""reaper_package: installs or removes the package on a node.

    path:   the .deb on the control machine (state: present)
    state:  present (default) or absent
    purge:  with absent, remove the settings and the state too (default true)
    force:  with absent, also where containerd's configuration cannot be looked at

The package never touches containerd here (REAPER_CONTAINERD_MERGE=no for this one call): that is
the work of reaper_containerd. A copy stays on the node in /var/lib/reaper/packages, and its hash
tells whether the node has this very package, for a build has the version of the one before.
"""

import os
import sys

from ansible.module_utils.parsing.convert_bool import boolean

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_deb import control_fields  # noqa: E402  pylint: disable=wrong-import-position
from reaper_node import NodeAction, NodeError, sha256  # noqa: E402  pylint: disable=wrong-import-position

PROBE = r"""
command -v dpkg-query >/dev/null || { echo "this node has no dpkg" >&2; return 1; }
dpkg --print-architecture
dpkg-query -W -f '${db:Status-Status}\n${Version}\n' reaper 2>/dev/null || printf 'none\n\n'
sha256sum /var/lib/reaper/packages/current.deb 2>/dev/null | cut -d ' ' -f 1
return 0
"""

APT = r"""
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 REAPER_CONTAINERD_MERGE=no
apt() {
    apt-get --yes --quiet --option DPkg::Lock::Timeout=120 \
        --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold "$@" 2>&1
}
"""

INSTALL = (
    APT
    + r"""
echo "$2  $1" | sha256sum --check --quiet || { echo "the file was damaged on its way" >&2; return 1; }
# apt reads the file as a user of its own where it can
apt --allow-downgrades --reinstall install "$1" || return
kept=/var/lib/reaper/packages
mkdir -p "$kept" && chmod 0700 "$kept" && cp -f "$1" "$kept/new.deb" || return
if [ -e "$kept/current.deb" ]; then mv -f "$kept/current.deb" "$kept/previous.deb"; fi
mv -f "$kept/new.deb" "$kept/current.deb"
"""
)

REMOVE = APT + 'export REAPER_FORCE_REMOVE="$2"\napt "$1" reaper\n'


class ActionModule(NodeAction):
    ARGUMENTS = {"path": None, "state": "present", "purge": True, "force": False}

    def run_on_node(self, args):
        node = dict(zip(("arch", "status", "version", "hash"), self.probe()))
        if args["state"] == "present":
            return self.present(args, node)
        if args["state"] == "absent":
            return self.absent(boolean(args["purge"]), boolean(args["force"]), node)
        raise NodeError("state is present or absent, not %s" % args["state"])

    def probe(self):
        lines = self.must("the node's packages cannot be read", PROBE).split("\n")
        return [line.strip() for line in (lines + [""] * 4)[:4]]

    def present(self, args, node):
        path = args["path"]
        if not path or not os.path.isfile(path):
            raise NodeError("there is no package %s" % path)
        try:
            fields = control_fields(path)
        except ValueError as error:
            raise NodeError("%s cannot be used: %s" % (path, error)) from error
        if fields.get("Package") != "reaper":
            raise NodeError("%s is the package %s" % (path, fields.get("Package")))
        if fields.get("Architecture") not in (node["arch"], "all"):
            raise NodeError(
                "%s is for %s, and this node is %s"
                % (path, fields.get("Architecture"), node["arch"])
            )
        digest = sha256(path)
        before = node["version"] if node["status"] == "installed" else "none"
        after = fields.get("Version", "")
        result = {
            "changed": before != after or node["hash"] != digest,
            "before": before,
            "after": after,
            "sha256": digest,
        }
        if result["changed"]:
            result["diff"] = {"before": "reaper %s\n" % before, "after": "reaper %s\n" % after}
            if not self.check_mode:
                self.install(path, digest)
        return result

    def install(self, path, digest):
        directory, target = self.upload(path)
        try:
            self.must("the package could not be installed", INSTALL, target, digest)
        finally:
            self.remove(directory)

    def absent(self, purge, force, node):
        gone = ("none", "not-installed") if purge else ("none", "not-installed", "config-files")
        result = {
            "changed": node["status"] not in gone,
            "before": node["version"] or "none",
            "after": "none",
        }
        if result["changed"]:
            result["diff"] = {"before": "reaper %s\n" % node["version"], "after": ""}
            if not self.check_mode:
                verb = "purge" if purge else "remove"
                self.must("the package could not be removed", REMOVE, verb, int(force))
        return result
