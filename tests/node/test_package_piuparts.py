"""piuparts in real roots: installed, upgraded, removed and purged, the package leaves every file as it was."""

import re
import shutil

import pytest

import repack
from installed import package
from machine import SOURCE, run

pytestmark = pytest.mark.full("a root of each distribution from its archive; two minutes each")

# what changes by itself, whatever is installed: of apt, dpkg and debconf, and of Ubuntu's base-files
OTHERS = ["/var/lib/apt/extended_states", "/var/cache/apt/srcpkgcache.bin", "/var/lib/dpkg/triggers/Unincorp", "/lib.usr-is-merged/", "/var/cache/debconf/tmp.ci/"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """What the distribution is to have of us: an older version, to be upgraded from."""
    directory = tmp_path_factory.mktemp("repository")
    repack.deb(directory)
    with open(directory / "Packages", "w") as index:
        run(["apt-ftparchive", "packages", "."], cwd=directory, stdout=index)
    for path in [directory, *directory.parents]:
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o111)
    return directory


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid", "noble"])
def test_piuparts(repository, suite, tmp_path):
    root = run([SOURCE / "ci/piuparts-root.sh", suite], timeout=900).stdout.strip()
    deb = shutil.copy(package(), tmp_path)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    knows_the_older_one = scripts / "post_chroot_unpack_older"
    knows_the_older_one.write_text(f"#!/bin/sh\necho 'deb [trusted=yes] file:{repository} ./' >/etc/apt/sources.list.d/older.list\n")
    knows_the_older_one.chmod(0o755)
    result = run(
        ["piuparts", "--basetgz", root, "--keep-sources-list", "--no-eatmydata", "--pedantic-purge-test", "--install-remove-install",
         "--warn-on-debsums-errors",
         "--bindmount", repository, "--scriptsdir", scripts,
         *(option for path in OTHERS for option in ("--ignore", path)), "--log-file", tmp_path / "log", deb],
        check=False, timeout=1800)  # fmt: skip
    log = (tmp_path / "log").read_text()
    assert result.returncode == 0, "\n".join(line for line in log.splitlines() if "ERROR" in line or "FAIL" in line) + log[-3000:]
    for test in ("Installation and purging test", "Installation, upgrade and purging tests"):
        assert f"PASS: {test}" in log
    assert f"Setting up reaper ({repack.OLDER})" in log and "reaper: warning" not in log
    # While it is installed one file is not the packaged one: that of policy 10.7.4 and README.Debian. Where
    # containerd's package has none there is nothing to be found.
    changed = re.findall(r"FAIL: debsums reports modifications inside the chroot:\n((?:  .*\n)*)", log)
    assert {line.strip() for lines in changed for line in lines.splitlines()} - {""} <= {"/etc/containerd/config.toml"}
    assert log.count("the runtime was added") >= 3
