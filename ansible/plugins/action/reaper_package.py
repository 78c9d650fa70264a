"""reaper_package: installs or removes the package on a node.

    path:        state present: the package on the control machine, a directory of packages, or the
                 air-gap tar; what fits the node is taken, and its checksum verified
    version:     which version, where there are several; 1.2 stands for every build of it
    sha256:      the checksum of a file, if it comes from elsewhere
    repository:  state present: an apt or dnf repository instead: {url, key}, key being the public key
                 on the control machine (ci/make-repo.sh makes both)
    state:       present (default), previous (the one that was there before), or absent
    purge:       with absent, remove the settings and the state too (default true)
    force:       with absent, also where containerd's configuration cannot be looked at

The package never touches containerd here (REAPER_CONTAINERD_MERGE=no for this one call): that is
the work of reaper_containerd. A copy stays on the node in /var/lib/reaper/packages, and its hash
tells whether the node has this very package, for a build has the version of the one before.
"""

import os
import sys

from ansible.module_utils.parsing.convert_bool import boolean

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "plugin_utils"))

from reaper_node import PACKAGES, NodeAction, NodeError  # noqa: E402  pylint: disable=wrong-import-position
from reaper_source import choose  # noqa: E402  pylint: disable=wrong-import-position

# format, architecture, status, version, hash of the kept package, version of the one before
PROBE = (
    PACKAGES
    + r"""
case $(packages) in
deb)
    echo deb
    dpkg --print-architecture
    dpkg-query -W -f '${db:Status-Status}\n${Version}\n' reaper 2>/dev/null || printf 'none\n\n'
    ;;
rpm)
    echo rpm
    uname -m
    # which says on its output, too, that there is none
    if rpm -q reaper >/dev/null 2>&1; then
        rpm -q --qf 'installed\n%{VERSION}-%{RELEASE}\n' reaper
    else
        printf 'none\n\n'
    fi
    ;;
*)
    echo "this node has neither dpkg nor rpm" >&2
    return 1
    ;;
esac
cd /var/lib/reaper/packages 2>/dev/null || return 0
sha256sum current.deb current.rpm 2>/dev/null | cut -d ' ' -f 1
"""
)

APT = r"""
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 REAPER_CONTAINERD_MERGE=no
# a node that went down in the middle of our last run
finish() {
    case $(dpkg-query -W -f '${db:Status-Status}' reaper 2>/dev/null) in
    '' | not-installed | config-files | installed) [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] || return 0 ;;
    esac
    dpkg --force-confdef --force-confold --configure --pending 2>&1
}
install() {
    finish
    # apt reads the file as a user of its own where it can
    apt-get --yes --quiet --option DPkg::Lock::Timeout=120 --allow-downgrades --reinstall \
        --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold install "$1" 2>&1
}
remove() {
    finish
    apt-get --yes --quiet --option DPkg::Lock::Timeout=120 "$1" reaper 2>&1
}
"""

DNF = r"""
export REAPER_CONTAINERD_MERGE=no
dnf=$(command -v dnf || command -v microdnf || command -v yum || command -v zypper) || dnf=rpm
install() {
    case $1 in
    *.rpm) rpm --upgrade --oldpackage --replacepkgs --replacefiles "$1" 2>&1 ;;
    *) "$dnf" -y install "$1" 2>&1 ;;
    esac
}
remove() {
    rpm --erase reaper 2>&1 || return
    [ "$1" = remove ] || rm -rf /etc/reaper /var/lib/reaper
}
"""

# `began` says what was there before, until containerd has the runtime: a run that goes on for one that
# died knows from it where the way back leads.
BEGIN = r"""
kept=/var/lib/reaper/packages
begin() { # WHAT THERE WAS
    mkdir -p "$kept" && chmod 0700 "$kept" || return
    [ -e "$kept/began" ] || { echo "$1" >"$kept/began.new" && mv -f "$kept/began.new" "$kept/began"; }
}
# nothing was installed: what begin() made goes
never_mind() {
    rm -f "$kept/began" "$kept/began.new"
    rmdir "$kept" /var/lib/reaper 2>/dev/null
    return 1
}
"""

INSTALL = r"""
trap 'rm -rf -- "${file%/*}"' EXIT
file=$1
echo "$3  $1" | sha256sum --check --quiet || { echo "the file was damaged on its way" >&2; return 1; }
begin "$4" || { never_mind; return; }
install "$1" || { [ -e /usr/bin/reaperctl ] || never_mind; return 1; }
cp -f "$1" "$kept/new.$2" || return
if [ -e "$kept/current.$2" ]; then mv -f "$kept/current.$2" "$kept/previous.$2"; fi
mv -f "$kept/new.$2" "$kept/current.$2" && rm -f "$kept/back"
"""

# The package before this one and this one change places, so that there is a way back from here, too.
# `back` is the hash of the one that was wanted, until another is installed: the same call once more, for
# nodes that a run that died has left, does not change places again.
PREVIOUS = r"""
hash_of() { sha256sum 2>/dev/null <"$kept/$1" | cut -d ' ' -f 1; }
if [ ! -e "$kept/back" ]; then
    { hash_of "previous.$1" >"$kept/back.new" && mv -f "$kept/back.new" "$kept/back"; } || return
fi
if [ ! -e "$kept/current.$1" ] || [ "$(hash_of "current.$1")" != "$(cat "$kept/back")" ]; then
    install "$kept/previous.$1" || return
    if [ -e "$kept/current.$1" ]; then mv -f "$kept/current.$1" "$kept/new.$1" || return; fi
    mv -f "$kept/previous.$1" "$kept/current.$1" || return
fi
if [ -e "$kept/new.$1" ]; then mv -f "$kept/new.$1" "$kept/previous.$1" || return; fi
rm -f "$kept/began"
"""

REMOVE = r"""
export REAPER_FORCE_REMOVE="$2"
remove "$1" || return
rm -f /var/lib/reaper/packages/began /var/lib/reaper/packages/back
rm -f /etc/apt/sources.list.d/reaper.sources /etc/apt/keyrings/reaper.asc /etc/yum.repos.d/reaper.repo \
    /etc/pki/rpm-gpg/RPM-GPG-KEY-reaper
"""

# url, key file as it was copied, what to install
APT_REPOSITORY = r"""
mkdir -p /etc/apt/keyrings && cp -f "$2" /etc/apt/keyrings/reaper.asc && chmod 0644 /etc/apt/keyrings/reaper.asc || return
printf 'Types: deb\nURIs: %s/apt\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyrings/reaper.asc\n' "$1" \
    > /etc/apt/sources.list.d/reaper.sources || return
apt-get --quiet update --option Dir::Etc::sourcelist=sources.list.d/reaper.sources \
    --option Dir::Etc::sourceparts=- --option APT::Get::List-Cleanup=0 2>&1 || return
"""
DNF_REPOSITORY = r"""
mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d && cp -f "$2" /etc/pki/rpm-gpg/RPM-GPG-KEY-reaper || return
printf '[reaper]\nname=Reaper\nbaseurl=%s/dnf\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-reaper\n' "$1" \
    > /etc/yum.repos.d/reaper.repo || return
"$dnf" -y --disablerepo='*' --enablerepo=reaper makecache 2>&1 || return
"""
FROM_REPOSITORY = r"""
begin "$4" && rm -f "$kept/back" || { never_mind; return; }
install "$3" || { [ -e /usr/bin/reaperctl ] || never_mind; return 1; }
"""
FORMATS = {"deb": (APT, APT_REPOSITORY, "reaper=%s"), "rpm": (DNF, DNF_REPOSITORY, "reaper-%s")}


class ActionModule(NodeAction):
    ARGUMENTS = {
        "path": None,
        "version": None,
        "sha256": None,
        "repository": None,
        "state": "present",
        "purge": True,
        "force": False,
    }

    def run_on_node(self, args):
        node = dict(zip(("format", "arch", "status", "version", "hash"), self.probe()))
        tools, repository, wish = FORMATS[node["format"]]
        self.tools = tools
        if args["state"] == "present" and args["repository"]:
            return self.from_repository(args, node, repository, wish)
        if args["state"] == "present":
            return self.present(args, node)
        if args["state"] == "previous":
            return self.previous(node)
        if args["state"] == "absent":
            return self.absent(boolean(args["purge"]), boolean(args["force"]), node)
        raise NodeError("state is present, previous or absent, not %s" % args["state"])

    def probe(self):
        lines = self.must("the node's packages cannot be read", PROBE).split("\n")
        return [line.strip() for line in (lines + [""] * 5)[:5]]

    def present(self, args, node):
        package = choose(args["path"], node["format"], node["arch"], args["version"], args["sha256"])
        before = node["version"] if node["status"] == "installed" else "none"
        result = self.outcome(before, package.version)
        result["changed"] = before != package.version or node["hash"] != package.sha256
        result["sha256"] = package.sha256
        result["package"] = package.path
        if result["changed"] and not self.check_mode:
            self.install(package, before)
        return result

    def outcome(self, before, after):
        result = {"changed": before != after, "before": before, "after": after}
        result["diff"] = {"before": "reaper %s\n" % before, "after": "reaper %s\n" % after}
        return result

    def install(self, package, before):
        directory, target = self.upload(package.path)
        try:
            script = self.tools + BEGIN + INSTALL
            self.must_as_job("the package could not be installed", script, target, package.format, package.sha256, before)
        finally:
            self.remove(directory)

    def previous(self, node):
        kept = "/var/lib/reaper/packages/previous." + node["format"]
        version = self.must(
            "the version before this one cannot be read",
            # places may have been changed already
            'if [ -e "${1%/*}/back" ] && [ ! -e "$1" ]; then set -- "${1%/*}/current.${1##*.}"; fi; '
            '[ -e "$1" ] || return 0; case $1 in *.deb) dpkg-deb -f "$1" Version ;; '
            "*) rpm -qp --qf '%{VERSION}-%{RELEASE}' \"$1\" ;; esac", kept
        ).strip()
        if not version:
            raise NodeError("the node has no version before this one (%s)" % kept)
        result = self.outcome(node["version"], version)
        rc, _out, _err = self.script(
            'cd "${1%/*}" && [ -e back ] && [ ! -e "new.$2" ] && [ "$(cat back)" = "$3" ]', kept, node["format"], node["hash"]
        )
        if rc == 0:
            # it was taken back already
            return self.outcome(node["version"], node["version"])
        result["changed"] = True
        if not self.check_mode:
            self.must_as_job("the previous package could not be installed", self.tools + BEGIN + PREVIOUS, node["format"])
        return result

    def from_repository(self, args, node, set_up, wish):
        source = args["repository"]
        if not isinstance(source, dict) or set(source) - {"url", "key"} or not source.get("url"):
            raise NodeError("reaper_repository is a dictionary of url and key")
        if not source.get("key") or not os.path.isfile(source["key"]):
            raise NodeError("there is no key %s: a repository without one is not used" % source.get("key"))
        before = node["version"] if node["status"] == "installed" else "none"
        if self.check_mode:
            result = self.outcome(before, args["version"] or "the newest of %s" % source["url"])
            result["changed"] = before == "none" or bool(args["version"] and before != args["version"])
            return result
        what = wish % args["version"] if args["version"] else "reaper"
        directory, target = self.upload(source["key"])
        try:
            script = self.tools + BEGIN + set_up + FROM_REPOSITORY
            self.must_as_job("the repository cannot be used", script, source["url"].rstrip("/"), target, what, before)
        finally:
            self.remove(directory)
        return self.outcome(before, self.probe()[3])

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
                script = self.tools + REMOVE
                self.must_as_job("the package could not be removed", script, verb, int(force))
        return result
