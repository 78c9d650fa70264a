"""Where the package for a node comes from: a file, a directory of packages, or the air-gap tar.

Chosen by the node's format and architecture and, if one is wanted, by version; its checksum is that
of SHA256SUMS beside it. A directory and a tar must have that list, and the package must be on it.
"""

import os
import shutil
import tarfile
import tempfile

from ansible import constants as C

import reaper_deb
import reaper_rpm
from reaper_node import NodeError, sha256

SUFFIXES = {"deb": ".deb", "rpm": ".rpm"}
READERS = {"deb": reaper_deb.control_fields, "rpm": reaper_rpm.control_fields}
# what the two formats call one machine
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SUMS = "SHA256SUMS"


class Package:
    """A package on the control machine: path, format, version, arch (as the format calls it), sha256."""

    def __init__(self, path):
        self.path = path
        self.format = "rpm" if path.endswith(".rpm") else "deb"
        try:
            fields = READERS[self.format](path)
        except ValueError as error:
            raise NodeError("%s cannot be used: %s" % (path, error)) from error
        except OSError as error:
            raise NodeError("%s cannot be read: %s" % (path, error.strerror)) from error
        if fields.get("Package") != "reaper":
            raise NodeError("%s is the package %s" % (path, fields.get("Package")))
        self.version = fields.get("Version", "")
        self.arch = fields.get("Architecture", "")
        self.sha256 = sha256(path)

    def fits(self, kind, arch):
        return self.format == kind and self.arch in (arch, MACHINES.get(arch, arch), "all", "noarch")


def choose(source, kind, arch, version=None, digest=None):
    """The package for a node of this format and architecture; NodeError names what is missing."""
    if not source or not os.path.exists(source):
        raise NodeError("there is no package %s" % source)
    if os.path.isdir(source):
        return from_directory(source, kind, arch, version)
    if source.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz")):
        return from_directory(unpacked(source), kind, arch, version, source)
    package = Package(source)
    if package.format != kind:
        raise NodeError("%s is a .%s, and this node takes .%s" % (source, package.format, kind))
    if not package.fits(kind, arch):
        raise NodeError("%s is for %s, and this node is %s" % (source, package.arch, arch))
    if version and not is_version(package.version, version):
        raise NodeError("%s is version %s, and %s is wanted" % (source, package.version, version))
    if digest and digest != package.sha256:
        raise NodeError("%s has the checksum %s, and %s is wanted" % (source, package.sha256, digest))
    sums = os.path.join(os.path.dirname(os.path.abspath(source)), SUMS)
    if os.path.exists(sums):
        check(package, sums)
    return package


def from_directory(directory, kind, arch, version, called=None):
    called = called or directory
    found = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(SUFFIXES[kind]) and name.startswith("reaper"):
            path = os.path.join(directory, name)
            # sub-packages (debug symbols) are of other names
            if READERS[kind](path).get("Package") == "reaper":
                found.append(Package(path))
    fitting = [p for p in found if p.fits(kind, arch) and (not version or is_version(p.version, version))]
    if not fitting:
        there = ", ".join("%s for %s" % (p.version, p.arch) for p in found) or "none"
        raise NodeError(
            "%s has no .%s%s for %s (there: %s)"
            % (called, kind, " of version %s" % version if version else "", arch, there)
        )
    if len(fitting) > 1:
        raise NodeError(
            "%s has several packages for %s: %s; say which with reaper_version"
            % (called, arch, ", ".join(p.version for p in fitting))
        )
    sums = os.path.join(directory, SUMS)
    if not os.path.exists(sums):
        raise NodeError("%s has no %s: a package without a checksum is not installed" % (called, SUMS))
    check(fitting[0], sums)
    return fitting[0]


def is_version(version, wanted):
    """1.2 stands for every build of 1.2; a whole version for itself."""
    return version == wanted or (version.startswith(wanted) and version[len(wanted)] in "-~+.")


def check(package, sums):
    name = os.path.basename(package.path)
    with open(sums, encoding="utf-8") as file:
        for line in file:
            digest, _, listed = line.strip().partition(" ")
            if os.path.basename(listed.strip().lstrip("*")) == name:
                if digest != package.sha256:
                    raise NodeError("%s is damaged: its checksum is not the one of %s" % (package.path, sums))
                return
    raise NodeError("%s is not in %s: a package without a checksum is not installed" % (name, sums))


def unpacked(tar):
    """The directory of packages in an air-gap tar, unpacked once a run."""
    digest = sha256(tar)
    target = os.path.join(C.DEFAULT_LOCAL_TMP, "reaper-" + digest)
    if os.path.isdir(target):
        return target
    os.makedirs(C.DEFAULT_LOCAL_TMP, exist_ok=True)
    work = tempfile.mkdtemp(dir=C.DEFAULT_LOCAL_TMP)
    try:
        with tarfile.open(tar) as archive:
            for member in archive:
                name = os.path.basename(member.name)
                if member.isfile() and os.path.basename(os.path.dirname(member.name)) == "dist":
                    with open(os.path.join(work, name), "wb") as file:
                        shutil.copyfileobj(archive.extractfile(member), file)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise NodeError("%s cannot be used: %s" % (tar, error)) from error
    if not os.listdir(work):
        raise NodeError("%s has no packages in a directory dist/" % tar)
    try:
        os.rename(work, target)
    except OSError:  # another host of this run was faster
        if not os.path.isdir(target):
            raise
    return target
