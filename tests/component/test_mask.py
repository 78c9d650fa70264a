"""Secrets of the host do not exist in the view, and package tools work all the same.

What is hidden is a layer of whiteouts, so that a hidden path answers ENOENT, not "permission denied",
and no unmount brings it back. The attacks on it are in test_attacks.py.
"""

import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from bench import spec
from faults import sysfault
from machine import BINARIES, run
from running import Running, bind, mounted, plain_pod, said

pytestmark = pytest.mark.submission("a secret that shows once is lost; each takes milliseconds")

HOLD = "echo ready; exec sleep 600"
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src/mask/rules.c"


@pytest.fixture
def place():
    """A directory of the host's root file system."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/usr/local/lib"))
    yield path
    subprocess.run(["rm", "-r", "--one-file-system", path], check=True)


@pytest.fixture
def hidden(place, monkeypatch):
    """Secrets of all kinds, and the setting that hides them."""
    (place / "dir/below").mkdir(parents=True)
    (place / "dir/below/key").write_text("secret\n")
    (place / "file").write_text("secret\n")
    (place / "a.key").write_text("secret\n")
    (place / ".b.key").write_text("secret\n")
    (place / "open").write_text("no secret\n")
    os.chmod(place, 0o751)
    os.chown(place, 0, 13)
    monkeypatch.setenv("REAPER_FILTER_PATHS", f"{place}/dir:{place}/file:{place}/*.key:{place}/later")
    return place


def defaults():
    text = SOURCE.read_text()
    text = text[text.index("mask_default_paths[]"):text.index("mask_default_allow[]")]
    return re.findall(r'"(/[^"]+)"', text)


def said_by_root(bench, script):
    """What a script says that has the capabilities of a plain pod's root."""
    return said(bench, script, **plain_pod())


def test_nothing_of_the_list_is_there(bench):
    paths = defaults()
    assert len(paths) > 60
    text = said(bench, f"ls -d {' '.join(paths)} 2>/dev/null || true")
    assert sorted(text.split()) == ["/etc/gshadow", "/etc/shadow"]


def test_hidden_paths_do_not_exist_and_the_rest_is_as_it_is(bench, hidden):
    script = f"ls -A {hidden}; stat -c '%a %u %g' {hidden}; cat {hidden}/open {hidden}/file {hidden}/dir/below/key 2>&1 || true"
    assert said(bench, script) == (
        f"open\n751 0 13\nno secret\ncat: {hidden}/file: No such file or directory\n"
        f"cat: {hidden}/dir/below/key: No such file or directory\n"
    )


def test_directories_above_a_hidden_path_look_as_on_the_host(bench, hidden):
    os.utime(hidden, (1_000_000_000, 1_000_000_000))
    dirs = [d for d in ("/etc", "/etc/ssh", "/etc/ssl", "/etc/cni/net.d", "/root", "/home", "/var", "/var/lib", "/var/log",
            "/usr/local/lib", str(hidden)) if os.path.isdir(d)]  # fmt: skip
    expected = [f"{d} {(st := os.stat(d)).st_mode & 0o7777:o} {st.st_uid} {st.st_gid} {int(st.st_mtime)}" for d in dirs]
    assert said(bench, f"stat -c '%n %a %u %g %Y' {' '.join(dirs)}").splitlines() == expected


def test_a_plain_path_is_hidden_before_the_host_has_it(bench, hidden):
    pod = Running(bench, HOLD, name="first")
    pod.line()
    (hidden / "later").write_text("secret\n")
    assert said(bench, f"ls -A {hidden}") == "open\n"
    pod.kill()


def test_what_a_workload_puts_in_its_place_is_an_ordinary_file_of_the_group(bench, hidden):
    said(bench, f"mkdir {hidden}/dir && echo own >{hidden}/dir/x && echo own >{hidden}/.new && mv {hidden}/.new {hidden}/file")
    assert said(bench, f"ls -A {hidden} {hidden}/dir; cat {hidden}/file", name="two") == (
        f"{hidden}:\ndir\nfile\nopen\n\n{hidden}/dir:\nx\nown\n")  # fmt: skip
    assert (hidden / "file").read_text() == "secret\n"


def test_a_volume_lies_over_what_is_hidden(bench, hidden):
    assert said(bench, f"cat {hidden}/dir/below/key", bind(hidden / "dir", f"{hidden}/dir")) == "secret\n"


def test_a_layered_file_system_has_a_mask_of_its_own(bench, monkeypatch):
    with mounted() as path:
        (path / "secret").write_text("secret\n")
        (path / "open").write_text("open\n")
        monkeypatch.setenv("REAPER_FILTER_PATHS", f"{path}/secret")
        assert said(bench, f"ls -A {path}; cat {path}/open") == "open\nopen\n"


def test_on_a_bound_file_system_there_is_nothing_to_read(bench, monkeypatch):
    with mounted() as path:
        (path / "dir").mkdir()
        (path / "dir/key").write_text("secret\n")
        (path / "secret").write_text("secret\n")
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        monkeypatch.setenv("REAPER_FILTER_PATHS", f"{path}/secret:{path}/d*")
        script = f"ls {path}; ls -A {path}/dir; cat {path}/secret; echo x >{path}/dir/new || echo refused"
        assert said(bench, f"({script}) 2>/dev/null") == "dir\nsecret\nrefused\n"


def test_what_the_host_mounts_later_is_masked_too(bench, monkeypatch):
    pod = Running(bench, HOLD, name="first")
    pod.line()
    with mounted() as path, mounted() as other:
        for each in (path, other):
            (each / "secret").write_text("secret\n")
            (each / "open").write_text("open\n")
        subprocess.run(["mount", "-o", "remount,bind,ro", other], check=True)
        monkeypatch.setenv("REAPER_FILTER_PATHS", f"{path}/secret:{other}/secret")
        script = f"ls {path}; cat {path}/* {other}/*; grep -c ^root: /etc/shadow"
        assert said(bench, script) == "open\nopen\nopen\n1\n"
        pod.kill()


def test_a_path_that_is_hidden_is_no_place_for_a_later_mount(bench, monkeypatch):
    """Also where a workload has made a directory of that name."""
    with mounted() as path:
        (path / "hidden").mkdir()
        monkeypatch.setenv("REAPER_FILTER_PATHS", f"{path}/hidden")
        said(bench, f"mkdir {path}/hidden && echo own >{path}/hidden/own")
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", path / "hidden"], check=True)
        (path / "hidden/secret").write_text("secret\n")
        assert said(bench, f"ls -A {path}/hidden; grep -c hidden /proc/self/mountinfo || true", name="two") == "own\n0\n"
        subprocess.run(["umount", path / "hidden"], check=True)


def test_refresh_hides_what_a_glob_matches_by_now(bench, hidden, monkeypatch):
    pod = Running(bench, f"cd {hidden}; {HOLD}", name="first")
    pod.line()
    (hidden / "new.key").write_text("secret\n")
    run([BINARIES / "reaperctl", "overlay", "refresh"])
    assert said(bench, f"ls -A {hidden}") == "open\n"
    assert said(bench, "grep -c ^root: /etc/shadow; grep -c reaper-mask /proc/self/mountinfo", name="accounts") == "1\n1\n"
    # and shows what is no longer hidden
    monkeypatch.setenv("REAPER_FILTER_PATHS", f"{hidden}/dir/below/key")
    run([BINARIES / "reaperctl", "overlay", "refresh"])
    assert said(bench, f"ls -A {hidden} {hidden}/dir/below", name="two") == (
        f"{hidden}:\n.b.key\na.key\ndir\nfile\nnew.key\nopen\n\n{hidden}/dir/below:\n")  # fmt: skip
    # in between nothing showed to who was in the directory
    monkeypatch.setenv("REAPER_FILTER_PATHS", f"{hidden}/dir")
    run([BINARIES / "reaperctl", "overlay", "refresh"])
    assert "dir" not in said(bench, f"ls -A {hidden}", name="three").split()
    pod.kill()


def test_the_allow_list_takes_paths_out(bench, hidden, monkeypatch):
    monkeypatch.setenv("REAPER_FILTER_ALLOWLIST", f"{hidden}/file {hidden}/dir/below")
    (hidden / "dir/other").write_text("secret\n")
    assert said(bench, f"cat {hidden}/file; ls -A {hidden}/dir {hidden}/dir/below") == (
        f"secret\n{hidden}/dir:\nbelow\n\n{hidden}/dir/below:\nkey\n")  # fmt: skip


def test_replace_leaves_the_built_in_list_out_and_off_is_off(bench, hidden, monkeypatch):
    monkeypatch.setenv("REAPER_FILTER_MODE", "replace")
    hashes = pathlib.Path("/etc/shadow").read_bytes()
    assert said(bench, f"ls -A {hidden}; cat /etc/shadow") == "open\n" + hashes.decode()
    run([BINARIES / "reaperctl", "overlay", "gc", "--all"])
    monkeypatch.setenv("REAPER_FILTER_ENABLED", "false")
    assert said(bench, f"cat {hidden}/file", name="two") == "secret\n"


def test_inodes_are_the_hosts(bench, hidden):
    """The detector of stale files compares them."""
    assert said(bench, f"stat -c %i {hidden}/open /bin/sh") == (
        f"{(hidden / 'open').stat().st_ino}\n{os.lstat('/bin/sh').st_ino}\n")  # fmt: skip


# ---- accounts and packages ----


def test_accounts_are_there_without_passwords(bench):
    text = said(bench, "cat /etc/shadow /etc/gshadow; stat -c '%a %u %g' /etc/shadow")
    host = os.stat("/etc/shadow")
    lines = text.splitlines()
    assert lines.pop() == f"{host.st_mode & 0o7777:o} {host.st_uid} {host.st_gid}"
    names = [line.split(":")[0] for file in ("/etc/shadow", "/etc/gshadow")
             for line in pathlib.Path(file).read_text().splitlines()]  # fmt: skip
    assert [line.split(":")[0] for line in lines] == names
    assert {line.split(":")[1] for line in lines} <= {"!", "*", "!!", "!*"}


def test_users_are_made_and_get_passwords(bench):
    before = pathlib.Path("/etc/shadow").read_bytes()
    script = """set -e
    useradd -m reaper-test; echo reaper-test:new-password | chpasswd; passwd -l reaper-test >/dev/null
    passwd -u reaper-test >/dev/null; passwd -S reaper-test | cut -d' ' -f1,2; groupadd reaper-group
    grep -c '^reaper-test:[$]' /etc/shadow; ls -d /home/reaper-test"""
    assert said_by_root(bench, script) == "reaper-test P\n1\n/home/reaper-test\n"
    assert pathlib.Path("/etc/shadow").read_bytes() == before


def test_a_package_that_a_pod_installs_starts_no_service(bench):
    before = os.path.lexists("/usr/sbin/policy-rc.d")
    assert said_by_root(bench, "policy-rc.d ssh start; echo $?") == "101\n"
    assert os.path.lexists("/usr/sbin/policy-rc.d") == before


def test_a_package_is_installed_and_removed(bench):
    script = """set -e
    mkdir -p /tmp/p/DEBIAN /tmp/p/etc/sudoers.d /tmp/p/usr/bin; cd /tmp/p
    printf 'Package: reaper-test\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' >DEBIAN/control
    printf '#!/bin/sh\\nset -e\\nuseradd --system reaper-pkg\\n' >DEBIAN/postinst; chmod 755 DEBIAN/postinst
    echo '# x' >etc/sudoers.d/reaper-test; printf '#!/bin/sh\\necho installed\\n' >usr/bin/reaper-test; chmod 755 usr/bin/reaper-test
    dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null; dpkg -i /tmp/p.deb >/dev/null 2>&1
    reaper-test; ls /etc/sudoers.d; id -un reaper-pkg; dpkg -P reaper-test >/dev/null 2>&1; ls -d /usr/bin/reaper-test 2>&1 || true"""
    assert said_by_root(bench, script) == (
        "installed\nreaper-test\nreaper-pkg\nls: cannot access '/usr/bin/reaper-test': No such file or directory\n")


# ---- failures ----


def refused_at_faults(bench, hidden, call, choose):
    """How often a call that fails in the runtime refused the pod with the mask as the reason. The
    secrets show never."""
    command = [BINARIES / "reaper-runtime", "run", bench.make_bundle("one", spec("/bin/ls", "-A", str(hidden)))]
    where = {"call": call, "follow": True, "comm": "reaper-runtime"}
    total = sysfault(command, **where).calls
    refused = 0
    for at in choose(total):
        run([BINARIES / "reaperctl", "overlay", "gc", "--all"])
        report = sysfault(command, **where, at=at, action="EIO")
        assert (report.stdout == "open\n") == (report.status == 0), (at, report.stdout, report.stderr)
        refused += "the host view cannot be made: hiding the host's secrets: " in report.stderr
    return refused


@pytest.mark.parametrize("call", ["mknodat", "fchown", "utimensat"])
def test_a_pod_without_a_mask_does_not_start(bench, hidden, call):
    assert refused_at_faults(bench, hidden, call, lambda total: {1, total // 2, total}) >= 1


@pytest.mark.full("each call of the mask's making, one after the other: two minutes")
@pytest.mark.parametrize("call", ["mknodat", "fchown", "fchmod", "utimensat", "getdents64", "mkdirat", "openat2", "mount"])
def test_a_pod_without_a_mask_does_not_start_whatever_fails(bench, hidden, call):
    assert refused_at_faults(bench, hidden, call, lambda total: range(1, total + 1)) >= 1
