"""What a distribution's gates say of the packages; the quick ones are in test_package and test_rpm."""

import os
import pathlib
import re
import subprocess

import pytest

from installed import package
from machine import SOURCE, run

pytestmark = pytest.mark.full("the gates of a distribution, for both architectures")

DIST = SOURCE / "dist"
ARCHITECTURES = ["amd64", "arm64"]


@pytest.fixture(scope="module", autouse=True)
def everything():
    """Both architectures in dist/."""
    run([SOURCE / "ci/build-packages.sh", "--arch", "all", "all"], timeout=1800)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_lintian(arch):
    # unknown-field: the symbols' package gets Static-Built-Using too, and no overrides;
    # initial-upload-closes-no-bugs: this is no upload to Debian
    result = subprocess.run(
        ["lintian", "--pedantic", "--display-info", "--fail-on", "error,warning,info,pedantic", "--allow-root",
         "--suppress-tags", "initial-upload-closes-no-bugs,unknown-field",
         package("deb", arch), *(DIST / "debug").glob(f"*_{arch}.deb")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "")


def test_rpmlint():
    result = subprocess.run(
        ["rpmlint", "--config", SOURCE / "packaging/rpm/rpmlint.toml", *DIST.rglob("*.rpm"), SOURCE / "packaging/rpm/reaper.spec"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 packages and 1 specfiles checked; 0 errors, 0 warnings" in result.stdout


def build_log(arch):
    state = pathlib.Path(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci"))
    (log,) = state.glob(f"packages/*/{package('deb', arch).stem}.log")
    return log


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_blhc(arch):
    """Every compiler's and linker's call has the hardening flags of Debian."""
    # -static-pie is what -fPIE -pie is to a static program, and blhc does not know it
    result = run(["blhc", "--all", "--ignore-flag", "-fPIE", "--ignore-flag", "-pie", build_log(arch)], check=False)
    assert (result.returncode, result.stdout) == (0, "")
    # it did find calls to look at
    assert len(re.findall("^.*gcc|^.*/cc ", build_log(arch).read_text(), re.MULTILINE)) > 100
    # the compilers' and ours; dpkg's own are about versions between releases and the other architecture
    assert not re.findall("^(?!dpkg-).*warning:.*$", build_log(arch).read_text(), re.MULTILINE)


def test_hardening_check(tmp_path):
    run(["dpkg-deb", "-x", package(), tmp_path])
    # What it cannot see in a static program: that it is one that moves (test_supply looks at its header),
    # and names of functions, which are with the debug symbols (test_supply again). Debian's static C
    # library is built without marks for indirect branches, so no program of it can have one.
    blind = ["--nopie", "--nostackprotector", "--nofortify", "--nocfprotection", "--nobranchprotection"]
    known = run(["hardening-check", "--help"], check=False).stdout
    blind = [option for option in blind if option in known or option == "--nopie"]
    for program in sorted((tmp_path / "usr/bin").iterdir()):
        result = run(["hardening-check", *blind, program], check=False)
        assert result.returncode == 0, result.stdout
        assert "Read-only relocations: yes" in result.stdout
        assert "Immediate binding: yes" in result.stdout


def test_the_unit_is_valid(stock):
    node = stock("trixie")
    node.path("/root/reaper.deb").write_bytes(package().read_bytes())
    node.run("dpkg", "--install", "/root/reaper.deb", timeout=120)
    result = node.run("systemd-analyze", "verify", "--man=no", "reaper-boot.service")
    assert result.stdout + result.stderr == ""


# the policy that a distribution brings, as small as secilc takes one
POLICY = """
(sid kernel)
(sidorder (kernel))
(class file (read write))
(classorder (file))
(sensitivity s0)
(sensitivityorder (s0))
(category c0)
(categoryorder (c0))
(sensitivitycategory s0 (c0))
(user system_u)
(role object_r)
(role system_r)
(type kernel_t)
(roletype system_r kernel_t)
(roletype object_r kernel_t)
(userrole system_u system_r)
(userrole system_u object_r)
(userlevel system_u (s0))
(userrange system_u ((s0) (s0 (c0))))
(sidcontext kernel (system_u system_r kernel_t ((s0) (s0))))
(allow kernel_t self (file (read)))
"""
TYPE = """
(type container_runtime_exec_t)
(roletype object_r container_runtime_exec_t)
"""


@pytest.mark.parametrize("has_type", [True, False])
def test_the_selinux_module_compiles(tmp_path, has_type):
    """With the type of container-selinux the runtime gets its label; without it the module is nothing."""
    policy = tmp_path / "policy.cil"
    policy.write_text(POLICY + (TYPE if has_type else ""))
    run(["secilc", "--mls", "true", "--output", tmp_path / "policy", "--filecontext", tmp_path / "contexts",
         policy, SOURCE / "packaging/common/reaper.cil"])  # fmt: skip
    contexts = (tmp_path / "contexts").read_text()
    label = "/usr/bin/reaper-runtime\t--\tsystem_u:object_r:container_runtime_exec_t:s0\n"
    # secilc of libsepol 3.4 writes the range of one level as "s0-s0", later ones as "s0"
    assert re.sub(r"[ \t]+", "\t", contexts).replace("s0-s0", "s0") == (label if has_type else "")
