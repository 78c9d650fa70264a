"""Signed repositories of ci/make-repo.sh, with a throw-away key, through real apt and real dnf."""

import os
import re
import shutil
import subprocess

import pytest

from installed import assert_serves, package
from machine import SOURCE, run

pytestmark = pytest.mark.submission("a repository that takes a changed package is worse than none; ten seconds each")

REPO = "/root/repository"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The repository of this checkout's packages."""
    top = tmp_path_factory.mktemp("published")
    home = top / "key"
    home.mkdir(mode=0o700)
    packages = top / "packages"
    packages.mkdir()
    for kind in ("deb", "rpm"):
        shutil.copy(package(kind), packages)
    sums = run(["sha256sum", *sorted(os.listdir(packages))], cwd=packages).stdout
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet"]
    run([*gpg, "--passphrase", "", "--quick-generate-key", "Tests <tests@reaper.invalid>", "rsa3072", "sign", "never"])
    try:
        run([SOURCE / "ci/make-repo.sh", "--packages", packages, "--out", top / "out", "--key", "tests@reaper.invalid",
             "--gnupg-home", home, "--url", f"file://{REPO}"], timeout=120)  # fmt: skip
        # hashes are compared before anything is signed
        for kind, wrong, said in (
            ("deb", re.sub(r"(?m)^\w+(?=  .*\.deb$)", "0" * 64, sums), "has not the hash of"),
            ("rpm", "".join(line for line in sums.splitlines(True) if not line.endswith(".rpm\n")), "is not in"),
        ):
            (packages / "SHA256SUMS").write_text(wrong)
            refused = run([SOURCE / "ci/make-repo.sh", "--packages", packages, "--out", top / "none", "--key", "tests@reaper.invalid",
                           "--gnupg-home", home], check=False, timeout=120)  # fmt: skip
            assert refused.returncode == 1 and f"{package(kind).name} {said}" in refused.stderr, refused.stderr
        (packages / "SHA256SUMS").write_text(sums)
        # again: it is replaced whole, and nothing of the packages was changed
        run([SOURCE / "ci/make-repo.sh", "--packages", packages, "--out", top / "out", "--key", "tests@reaper.invalid",
             "--gnupg-home", home, "--url", f"file://{REPO}"], timeout=120)  # fmt: skip
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"])
    assert (packages / package("rpm").name).read_bytes() == package("rpm").read_bytes()
    assert sorted(os.listdir(top)) == ["key", "out", "packages"]
    return top / "out"


def put(node, published):
    shutil.copytree(published, node.path(REPO))


def apt(node, *arguments, check=True):
    # of this repository only: the node has no network to its distribution's
    only = ["-o", "Dir::Etc::SourceList=/dev/null", "-o", "APT::Sandbox::User=root", "-o", "APT::Get::List-Cleanup=0"]
    return node.run("apt-get", "-q", "-y", *only, *arguments, check=check, timeout=300)


@pytest.fixture
def debian(stock, published):
    node = stock("bookworm")
    put(node, published)
    node.path("/etc/apt/keyrings").mkdir(exist_ok=True)
    shutil.copy(published / "reaper.asc", node.path("/etc/apt/keyrings/reaper.asc"))
    shutil.copy(published / "reaper.sources", node.path("/etc/apt/sources.list.d/reaper.sources"))
    return node


def test_apt(debian):
    apt(debian, "update")
    apt(debian, "install", "reaper")
    assert_serves(debian)


def test_apt_refuses_a_changed_package(debian):
    apt(debian, "update")
    (deb,) = debian.path(REPO + "/apt/pool").iterdir()
    deb.write_bytes(deb.read_bytes()[:-1] + b"?")
    result = apt(debian, "install", "reaper", check=False)
    assert result.returncode != 0
    assert "Hash Sum mismatch" in result.stdout + result.stderr or "unexpected size" in result.stdout + result.stderr


def test_apt_refuses_a_changed_index(debian):
    release = debian.path(REPO + "/apt/dists/stable/InRelease")
    release.write_text(release.read_text().replace("Origin: Reaper", "Origin: Reaver"))
    debian.path(REPO + "/apt/dists/stable/Release.gpg").unlink()
    result = apt(debian, "update", "--error-on=any", check=False)
    assert result.returncode != 0
    assert "invalid" in result.stdout + result.stderr


@pytest.fixture
def fedora(stock, published):
    node = stock("rpm")
    put(node, published)
    node.path("/etc/yum.repos.d").mkdir(parents=True, exist_ok=True)
    shutil.copy(published / "reaper.repo", node.path("/etc/yum.repos.d/reaper.repo"))
    return node


def dnf(node, *arguments, check=True):
    return node.run("dnf", "-y", "--releasever=1", "--setopt=reposdir=/etc/yum.repos.d", *arguments, check=check, timeout=300)


def test_dnf(fedora):
    dnf(fedora, "install", "reaper")
    assert_serves(fedora)
    assert "gpg-pubkey" in fedora.run("rpm", "-qa").stdout


def test_dnf_refuses_a_changed_index(fedora):
    index = fedora.path(REPO + "/dnf/repodata/repomd.xml")
    index.write_text(index.read_text().replace("<revision>", "<revision>1"))
    result = dnf(fedora, "install", "reaper", check=False)
    assert result.returncode != 0
    assert fedora.run("rpm", "-q", "reaper", check=False).returncode != 0


def test_dnf_refuses_a_package_without_signature(fedora):
    (signed,) = fedora.path(REPO + "/dnf").glob("*.rpm")
    signed.write_bytes(package("rpm").read_bytes())
    # an index that fits, from somebody who has not the key
    fedora.run("createrepo_c", "--quiet", REPO + "/dnf")
    repo = fedora.path("/etc/yum.repos.d/reaper.repo")
    repo.write_text(repo.read_text().replace("repo_gpgcheck=1", "repo_gpgcheck=0"))
    result = dnf(fedora, "install", "reaper", check=False)
    assert result.returncode != 0
    assert "not signed" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--packages", "/nonexistent", "--out", "/tmp/x", "--key", "a"], "no such directory: /nonexistent"),
        (["--packages", "/etc/apt", "--out", "/tmp/x", "--key", "a"], "has neither debs nor rpms"),
        (["--packages", SOURCE / "dist", "--out", "/etc", "--key", "a"], "/etc is there already"),
        (["--packages", SOURCE / "dist", "--out", "/tmp/reaper-no-repository", "--key", "nobody"], "no secret key for: nobody"),
        (["--packages"], "--packages needs a value"),
        (["--frobnicate"], "unknown argument: --frobnicate"),
    ],
)
def test_bad_input_costs_one_line(arguments, said, tmp_path):
    result = subprocess.run(
        [SOURCE / "ci/make-repo.sh", *arguments], capture_output=True, text=True, timeout=60,
        env={**os.environ, "GNUPGHOME": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
