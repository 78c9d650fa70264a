"""Every local file system as the host's root, and mounted below it: made on loop devices.

A small root is put together on it, and the shim is started with that as its machine.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from bench import SHIM, spec
from machine import BINARIES
from running import mounted, said
from ttrpc import RpcError

SIZES = {"ext4": "64M", "xfs": "320M", "btrfs": "128M"}
MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}


@contextlib.contextmanager
def made(directory, fstype):
    """What to mount: (type, device, options)."""
    if fstype == "tmpfs":
        yield "tmpfs", "reaper-test", ["-o", "mode=755"]
    elif fstype == "overlay":  # as in a node of kind
        with mounted() as layers:
            for name in ("lower", "upper", "work"):
                (layers / name).mkdir()
            options = ",".join(f"{k}dir={layers / k}" for k in ("lower", "upper", "work"))
            yield "overlay", "reaper-test", ["-o", options]
    else:
        image = directory / "image"
        subprocess.run(["truncate", "-s", SIZES[fstype], image], check=True)
        subprocess.run([*MAKE[fstype], image], check=True, stdout=subprocess.DEVNULL)
        yield fstype, image, ["-o", "loop"]
        image.unlink()


def all_types():
    quick = pytest.mark.submission("the machine's root is another type than a node of kind has")
    full = pytest.mark.full("the matrix of host file systems; each is made, which takes a second")
    return [pytest.param(t, marks=full if t in MAKE else quick) for t in ("tmpfs", "overlay", *MAKE)]


def programs():
    """What a small root needs to run a shell script: the programs and their libraries."""
    wanted = [pathlib.Path(p) for p in ("/bin/sh", "/bin/cat", "/bin/ls", "/bin/mv", "/bin/rm", "/bin/stat")]
    for program in list(wanted):
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        wanted += [pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", listed)]
    return dict.fromkeys(wanted)


def fill(root):
    for name in ("proc", "sys", "dev", "run", "tmp", "etc", "srv", "mnt", "old"):
        (root / name).mkdir()
    for program in [*programs(), SHIM, BINARIES / "reaper-runtime"]:
        target = root / (f"usr/bin/{program.name}" if program.is_relative_to(BINARIES) else str(program)[1:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(program, target)
    (root / "etc/file").write_text("of the host\n")


@pytest.mark.parametrize("fstype", all_types())
def test_as_the_hosts_root(bench, tmp_path, fstype):
    script = """
        cat /etc/file; stat -f -c %T /; stat -c %i /bin/sh
        echo x >>/etc/file; echo new >/etc/new; rm /srv/gone; cat /etc/file /etc/new; ls -A /srv
    """
    with made(tmp_path, fstype) as (kind, device, options), mounted(*options, fstype=kind, device=device) as root:
        fill(root)
        (root / "srv/gone").write_text("")
        inode = (root / "bin/sh").stat().st_ino
        bench.make_bundle("one", spec("/bin/sh", "-ec", script))
        start = f"""
            set -e
            mount --make-rprivate /
            for d in proc sys dev run; do mount --rbind /$d {root}/$d; done
            cd {root}
            pivot_root . old
            exec /usr/bin/{SHIM.name} "$@"
        """
        # the bundle is below /run, at the same place in both worlds
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", start, "sh", "-namespace", "component", "-address", bench.address,
             "-publish-binary", "/usr/bin/containerd", "-bundle", bench.directory / "one", "-id", "one", "start"],
            env={**bench.environment(), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}, cwd=bench.directory / "one",
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        c = bench.adopt("one", result.stdout.decode().removeprefix("unix://"))
        stdout = c.fifo("out")
        reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
        c.create(stdout=stdout)
        c.call("Start")
        status = c.call("Wait").exit_status
        os.set_blocking(reader, True)
        with os.fdopen(reader, "rb") as file:
            text = file.read().decode()
        c.end()
        assert (status, text) == (0, f"of the host\noverlayfs\n{inode}\nof the host\nx\nnew\n")
        assert (root / "etc/file").read_text() == "of the host\n"
        assert sorted(p.name for p in (root / "etc").iterdir()) == ["file"]
        assert (root / "srv/gone").exists()


@pytest.mark.parametrize("fstype", all_types())
def test_below_the_root(bench, tmp_path, fstype):
    with made(tmp_path, fstype) as (kind, device, options), mounted(*options, fstype=kind, device=device) as path:
        (path / "file").write_text("of the host\n")
        os.setxattr(path / "file", "trusted.reaper", b"kept")
        os.chmod(path, 0o751)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert said(bench, f"stat -c '%a %Y' {path}", name="look") == "751 1000000000\n"
        assert said(bench, f"cat {path}/file; echo x >>{path}/file; cat {path}/file") == "of the host\nof the host\nx\n"
        assert (path / "file").read_text() == "of the host\n"
        new = path / "file.new"
        new.write_text("replaced\n")
        new.rename(path / "other")
        assert said(bench, f"cat {path}/other", name="two") == "replaced\n"


@contextlib.contextmanager
def too_deep():
    """An overlay over an overlay: the kernel stacks no third one."""
    with contextlib.ExitStack() as stack:
        lower = stack.enter_context(mounted())
        for name in ("lower", "a", "b"):
            (lower / name).mkdir()
        (lower / "lower" / "file").write_text("deep\n")
        first = stack.enter_context(mounted("-o", f"lowerdir={lower}/lower:{lower}/a", fstype="overlay"))
        yield stack.enter_context(mounted("-o", f"lowerdir={first}:{lower}/b", fstype="overlay"))


@pytest.mark.submission("what the kernel does not take must be said, not be an empty directory")
def test_what_cannot_be_a_lower_layer_is_bound_read_only_or_refused_by_name(bench, monkeypatch):
    with too_deep() as path:
        assert said(bench, f"cat {path}/file; echo x 2>/dev/null >{path}/x || echo refused") == "deep\nrefused\n"
        monkeypatch.setenv("REAPER_SUBMOUNTS", f"{path}=layer")
        with pytest.raises(RpcError, match=rf"{path} \(overlay\): REAPER_SUBMOUNTS says {path}=layer, but it cannot be a lower layer"):
            said(bench, "true", name="two")
