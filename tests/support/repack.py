"""Other versions of the packages of this checkout, for upgrades and faults."""

import os
import pathlib
import re

from installed import package
from machine import SOURCE, run
from trees import remove_tree

OLDER = "0.0.9"


def age(tree):
    """Programs that differ: another version's would."""
    for program in (tree / "usr/bin").iterdir():
        with open(program, "ab") as file:
            file.write(b"\nan older one\n")


def deb(directory, version=OLDER, change=age):
    """The deb with another version; change(TREE) edits its unpacked files, DEBIAN/ among them."""
    tree = pathlib.Path(directory) / f"deb-{version}"
    run(["dpkg-deb", "-R", package(), tree])
    control = tree / "DEBIAN/control"
    control.write_text(re.sub("^Version: .*", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    change(tree)
    sums = run(["sh", "-c", "find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -printf '%P\\0' | xargs -0 md5sum"], cwd=tree)
    (tree / "DEBIAN/md5sums").write_text(sums.stdout)
    made = tree.parent / f"reaper_{version}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, made])
    remove_tree(tree)
    return made


def rpm(directory, version=OLDER, change=age, extra=()):
    """The rpm with another version, by the spec of this checkout; extra: files that change() adds."""
    root = pathlib.Path(directory) / f"rpm-{version}"
    root.mkdir()
    run(["sh", "-c", f"rpm2cpio {package('rpm')} | cpio -idm --quiet -D {root}"])
    change(root)
    symbols = root / "usr/lib/debug/.build-id"
    symbols.mkdir(parents=True)
    (symbols / "none").write_text("")
    out = root.parent / f"rpm-{version}-out"
    spec = root.parent / f"reaper-{version}.spec"
    text = (SOURCE / "packaging/rpm/reaper.spec").read_text()
    spec.write_text(text.replace("%files\n", "\n".join(["%files", *extra, ""]), 1))
    run(["rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {out}/top", "--define", f"prebuilt_root {root}",
         "--define", f"reaper_version {version}", "--define", "_binary_payload w0.gzdio", "--define", f"_rpmdir {out}",
         spec], env={**os.environ, "HOME": str(root.parent)})  # fmt: skip
    (made,) = out.glob(f"*/reaper-{version}-*.rpm")
    remove_tree(root)
    return made
