"""What comes with the packages: the same bytes from the same sources, what is linked in, and hashes."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from installed import RPM_ARCH, package
from machine import SOURCE, run

DIST = SOURCE / "dist"


@pytest.mark.submission("who installs a static program wants to know what is in it; milliseconds")
def test_every_linked_library_is_named():
    fields = run(["dpkg-deb", "-f", package(), "Static-Built-Using"]).stdout
    assert {entry.split()[0] for entry in fields.split(",")} == {"glibc", "json-c", "protobuf-c", "libseccomp"}
    (bill,) = DIST.glob("*-amd64.spdx.json")
    bill = json.loads(bill.read_text())
    names = {part["SPDXID"]: part["name"] for part in bill["packages"]}
    linked = {names[r["relatedSpdxElement"]] for r in bill["relationships"] if r["relationshipType"] == "STATIC_LINK"}
    assert linked == {"glibc", "json-c", "protobuf-c", "libseccomp"}
    hashes = {part["name"]: part["checksums"][0]["checksumValue"] for part in bill["packages"] if "checksums" in part}
    for kind in ("deb", "rpm"):
        assert hashes[package(kind).name] == hashlib.sha256(package(kind).read_bytes()).hexdigest()
    # nothing else is linked in: every library on the link line belongs to one of the named packages
    links = (SOURCE / "build/build.ninja").read_text()
    archives = set(re.findall(r"(/usr/lib/\S+\.a)\b", links)) | {
        f"/usr/lib/x86_64-linux-gnu/lib{name}.a" for name in re.findall(r" -l(\w+)", links)}  # fmt: skip
    known = {"json-c", "seccomp", "protobuf-c"}
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
        for library in ("glibc", "json-c", "protobuf-c", "libseccomp"):
            assert f"======== {library} " in text


@pytest.mark.submission("a hash that does not fit is worse than none; milliseconds")
def test_checksums():
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=DIST)
    listed = {line.split()[1] for line in (DIST / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(DIST)) for path in DIST.rglob("*") if path.suffix in (".deb", ".rpm", ".json")}
    assert listed == there


@pytest.mark.submission("yesterday's checksums beside today's package keep install-reaper.sh from it; seconds, nothing is built")
def test_checksums_are_of_the_package_that_is_there():
    sums = SOURCE / "dist/SHA256SUMS"
    before = sums.read_text()
    sums.write_text(f"{'0' * 64}  reaper_0_amd64.deb\n")
    run([SOURCE / "ci/build-packages.sh", "deb"], timeout=900)
    assert sums.read_text() == before


@pytest.mark.full("builds all packages twice more")
def test_the_same_sources_give_the_same_bytes(tmp_path):
    """Both formats, both architectures: at another path, as another user, in another time zone and
    language, with another umask."""
    made = []
    for name, user, environment in (("a", None, {"TZ": "UTC"}), ("some/where/else", "nobody", {"TZ": "Asia/Tokyo", "LC_ALL": "C"})):
        tree = tmp_path / name / "checkout"
        run(["git", "clone", "--quiet", SOURCE, tree], timeout=120)
        state = tmp_path / f"state-{len(made)}"
        state.mkdir()
        prefix = []
        if user:
            run(["chown", "-R", user, tmp_path / "some", state])
            for parent in [tmp_path, *tmp_path.parents]:
                if not parent.stat().st_mode & 1:
                    parent.chmod(parent.stat().st_mode | 0o111)
            prefix = ["setpriv", "--reuid", user, "--clear-groups", "sh", "-c", 'umask 077; exec "$@"', "sh"]
        run([*prefix, tree / "ci/build-packages.sh", "--arch", "all", "all"], timeout=1800,
            env={**os.environ, **environment, "REAPER_CI_STATE": str(state), "HOME": "/nonexistent", "CCACHE_DISABLE": "1"})  # fmt: skip
        made.append({path.name: path.read_bytes() for path in (tree / "dist").rglob("*") if path.is_file()})
    assert len(made[0]) == 11
    assert {name for name in made[0] if made[0][name] != made[1].get(name)} == set()
    assert made[0].keys() == made[1].keys()


@pytest.fixture(scope="module")
def everything():
    """Both architectures in dist/."""
    run([SOURCE / "ci/build-packages.sh", "--arch", "all", "all"], timeout=1800)


ELF_MACHINES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}


@pytest.mark.full("cross-builds the packages")
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_programs_are_those_of_the_packages_architecture(everything, tmp_path, arch):
    assert run(["dpkg-deb", "-f", package("deb", arch), "Architecture"]).stdout == f"{arch}\n"
    assert run(["rpm", "-qp", "--qf", "%{ARCH}", package("rpm", arch)]).stdout == RPM_ARCH[arch]
    run(["dpkg-deb", "-x", package("deb", arch), tmp_path])
    programs = sorted((tmp_path / "usr/bin").iterdir())
    assert [program.name for program in programs] == ["containerd-shim-reaper-v2", "reaper-runtime", "reaperctl"]
    for program in programs:
        head = run(["readelf", "--wide", "--file-header", "--program-headers", "--dynamic", program]).stdout
        assert ELF_MACHINES[arch] in head
        # needs nothing of the system, at any address, with its tables and its stack as they should be
        assert "INTERP" not in head and "NEEDED" not in head
        assert re.search("Type: +DYN", head) and re.search("FLAGS_1.* PIE", head)
        assert "GNU_RELRO" in head and re.search("FLAGS_1.*NOW|BIND_NOW", head)
        assert re.search("GNU_STACK +[0-9a-fx ]+ RW +0x", head)


@pytest.mark.full("cross-builds the packages")
def test_the_arm64_programs_run(everything, tmp_path):
    """Under qemu: their own start-up, options, tables and parsers, to the same bytes as on this machine."""
    for arch in ("amd64", "arm64"):
        run(["dpkg-deb", "-x", package("deb", arch), tmp_path / arch])
    config = tmp_path / "config.toml"
    config.write_text("version = 2\n")

    def said(arch, program, *arguments):
        emulator = ["qemu-aarch64-static"] if arch == "arm64" else []
        result = run([*emulator, tmp_path / arch / "usr/bin" / program, *arguments], check=False)
        return result.returncode, result.stdout, result.stderr

    for call in (
        ["containerd-shim-reaper-v2", "-v"],
        ["containerd-shim-reaper-v2", "-h"],
        ["reaper-runtime", "--version"],
        ["reaper-runtime", "--help"],
        ["reaper-runtime", "--root", tmp_path / "none", "state", "nobody"],
        ["reaperctl", "--version"],
        ["reaperctl", "man"],
        ["reaperctl", "configuration"],
        ["reaperctl", "frobnicate"],
    ):
        assert said("arm64", *call) == said("amd64", *call)
    assert said("arm64", "reaperctl", "--version")[0] == 0


@pytest.mark.full("cross-builds the packages")
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_the_debug_symbols_are_those_of_the_programs(everything, tmp_path, arch):
    run(["dpkg-deb", "-x", package("deb", arch), tmp_path / "programs"])
    (dbgsym,) = (DIST / "debug").glob(f"reaper-dbgsym_*_{arch}.deb")
    (debuginfo,) = (DIST / "debug").glob(f"reaper-debuginfo-*.{RPM_ARCH[arch]}.rpm")
    run(["dpkg-deb", "-x", dbgsym, tmp_path / "deb"])
    (tmp_path / "rpm").mkdir()
    run(["sh", "-c", f"rpm2cpio {debuginfo} | cpio -idm --quiet -D {tmp_path / 'rpm'}"])
    for program in (tmp_path / "programs/usr/bin").iterdir():
        notes = run(["readelf", "--notes", program]).stdout
        identity = re.search("Build ID: ([0-9a-f]+)", notes).group(1)
        place = f"usr/lib/debug/.build-id/{identity[:2]}/{identity[2:]}.debug"
        symbols = tmp_path / "deb" / place
        assert symbols.read_bytes() == (tmp_path / "rpm" / place).read_bytes()
        table = run(["readelf", "--wide", "--symbols", symbols]).stdout
        # every function that has an array on its stack calls it
        assert " main" in table and "__stack_chk_fail" in table
        assert str(SOURCE) not in symbols.read_bytes().decode("latin-1")


@pytest.mark.full("compiles the programs once more")
def test_the_rpm_can_be_built_from_source(tmp_path):
    """With the distribution's shared libraries, as a distribution would: rpmbuild -ba."""
    version = "0.1.0"
    top = tmp_path / "top"
    (top / "SOURCES").mkdir(parents=True)
    parts = ["CMakeLists.txt", "LICENSE", "cmake", "proto", "src", "packaging", "kubernetes"]
    run(["sh", "-ec", f'git ls-files -z "$@" | tar --null -T - --transform "s,^,reaper-{version}/," -czf {top}/SOURCES/reaper-{version}.tar.gz',
         "sh", *parts], cwd=SOURCE)  # fmt: skip
    # the names of the libraries' packages are not Debian's, so this machine cannot look whether they are there
    run(["rpmbuild", "-ba", "--nodeps", "--define", f"_topdir {top}", "--define", f"_builddir {top}/BUILD", SOURCE / "packaging/rpm/reaper.spec"],
        timeout=1800, env={**os.environ, "HOME": str(tmp_path)})  # fmt: skip
    (made,) = top.glob("RPMS/x86_64/reaper-0*.rpm")
    (source,) = top.glob("SRPMS/*.rpm")
    assert f"reaper-{version}.tar.gz" in run(["rpm", "-qlp", source]).stdout
    needs = run(["rpm", "-qp", "--requires", made]).stdout
    for library in ("libc.so.6", "libjson-c.so", "libseccomp.so", "libprotobuf-c.so"):
        assert library in needs
    # it is the same package: the same files and the same scripts
    files = ["rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES:octal} %{FILEFLAGS}\n]"]
    scripts = ["rpm", "-qp", "--scripts", "--triggers", "--filetriggers"]
    without_notices = [line for line in run([*files, package("rpm")]).stdout.splitlines() if "/NOTICES" not in line]
    # links to the programs by their build ids, which rpmbuild makes where it finds debug symbols
    assert [line for line in run([*files, made]).stdout.splitlines() if "/.build-id" not in line] == without_notices
    assert run([*scripts, made]).stdout == run([*scripts, package("rpm")]).stdout
    run(["sh", "-c", f"cd {tmp_path} && rpm2cpio {made} | cpio -idm --quiet"])
    for program in ("reaperctl", "reaper-runtime"):
        built = run(["file", tmp_path / "usr/bin" / program]).stdout
        assert "dynamically linked" in built
        assert version in run([tmp_path / "usr/bin" / program, "--version"]).stdout
