"""What comes with the packages: the same bytes from the same sources, what is linked in, and hashes."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

from installed import package
from machine import SOURCE, run

DIST = SOURCE / "dist"


@pytest.mark.submission("who installs a static program wants to know what is in it; milliseconds")
def test_every_linked_library_is_named():
    fields = run(["dpkg-deb", "-f", package(), "Static-Built-Using"]).stdout
    assert {entry.split()[0] for entry in fields.split(",")} == {"glibc", "libcap2", "json-c", "protobuf-c", "libseccomp"}
    (bill,) = DIST.glob("*.spdx.json")
    bill = json.loads(bill.read_text())
    names = {part["SPDXID"]: part["name"] for part in bill["packages"]}
    linked = {names[r["relatedSpdxElement"]] for r in bill["relationships"] if r["relationshipType"] == "STATIC_LINK"}
    assert linked == {"glibc", "libcap", "json-c", "protobuf-c", "libseccomp"}
    hashes = {part["name"]: part["checksums"][0]["checksumValue"] for part in bill["packages"] if "checksums" in part}
    for kind in ("deb", "rpm"):
        assert hashes[package(kind).name] == hashlib.sha256(package(kind).read_bytes()).hexdigest()
    # nothing else is linked in: every library on the link line belongs to one of the named packages
    links = (SOURCE / "build/build.ninja").read_text()
    archives = set(re.findall(r"(/usr/lib/\S+\.a)\b", links)) | {
        f"/usr/lib/x86_64-linux-gnu/lib{name}.a" for name in re.findall(r" -l(\w+)", links)}  # fmt: skip
    known = {"json-c", "seccomp", "cap", "protobuf-c"}
    assert {re.sub(r".*/lib(.*)\.a", r"\1", a) for a in archives if "criterion" not in a} <= known


@pytest.mark.submission("the licences of what is linked in ask for it; milliseconds")
def test_notices_of_each_library(tmp_path):
    for kind, unpack, place in (
        ("deb", "dpkg-deb -x {} {}", "usr/share/doc/reaper"),
        ("rpm", "rpm2cpio {} | cpio -idm --quiet -D {}", "usr/share/licenses/reaper"),
    ):
        (tmp_path / kind).mkdir()
        subprocess.run(unpack.format(package(kind), tmp_path / kind), shell=True, check=True)
        text = run(["sh", "-c", f"zcat -f {tmp_path / kind / place}/NOTICES*"]).stdout
        for library in ("glibc", "libcap2", "json-c", "protobuf-c", "libseccomp"):
            assert f"======== {library} " in text


@pytest.mark.submission("a hash that does not fit is worse than none; milliseconds")
def test_checksums():
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=DIST)
    listed = {line.split()[1] for line in (DIST / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in DIST.iterdir()} - {"SHA256SUMS"}


@pytest.mark.full("builds both packages twice more")
def test_the_same_sources_give_the_same_bytes(tmp_path):
    """At another path, as another user, in another time zone and language, with another umask."""
    made = []
    for name, user, environment in (("a", None, {"TZ": "UTC"}), ("some/where/else", "nobody", {"TZ": "Asia/Tokyo", "LC_ALL": "C"})):
        tree = tmp_path / name / "checkout"
        run(["git", "clone", "--quiet", SOURCE, tree], timeout=120)
        state = tmp_path / f"state-{len(made)}"
        state.mkdir()
        prefix = []
        if user:
            run(["chown", "-R", user, tmp_path / "some", state])
            os.chmod(tmp_path, 0o755)
            prefix = ["setpriv", "--reuid", user, "--clear-groups", "sh", "-c", 'umask 077; exec "$@"', "sh"]
        run([*prefix, tree / "ci/build-packages.sh", "all"], timeout=900,
            env={**os.environ, **environment, "REAPER_CI_STATE": str(state), "HOME": "/nonexistent", "CCACHE_DISABLE": "1"})  # fmt: skip
        made.append({path.name: path.read_bytes() for path in (tree / "dist").iterdir()})
    shutil.rmtree(tmp_path / "some")
    assert made[0] == made[1]
