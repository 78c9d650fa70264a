"""A machine with a kernel of its own: cgroup v2 with every controller, AppArmor, quotas."""

import pathlib
import shutil
import tempfile

import pytest

from installed import GREETING, package
from machine import SOURCE, run
from waiting import until

pytestmark = pytest.mark.submission(
    "the only machine with all of cgroup v2 and with SSH; five minutes, most of it emulation"
)


class Vm:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="reaper-vm-"))
        try:
            self.script("start", timeout=1800)
        except BaseException:
            self.close()
            raise

    def script(self, command, *arguments, **options):
        options.setdefault("timeout", 600)
        return run([SOURCE / "ci" / "vm.sh", command, self.directory, *arguments], **options)

    def sh(self, text, **options):
        return self.script("ssh", text, **options)

    def close(self):
        self.script("stop")
        shutil.rmtree(self.directory)


@pytest.fixture
def vm():
    made = Vm()
    yield made
    made.close()


def test_boot_install_and_run(vm):
    """One boot for all of it: a minute of emulation is not to be paid twice."""
    controllers = vm.sh("cat /sys/fs/cgroup/cgroup.controllers").stdout.split()
    assert {"cpu", "memory", "pids", "io"} <= set(controllers)
    before = vm.sh("sha256sum /etc/containerd/config.toml; stat -c '%a %u %g' /etc/containerd/config.toml").stdout

    inventory = vm.directory / "inventory.ini"
    inventory.write_text(
        "[k8s_nodes]\nreaper-vm\n[k8s_nodes:vars]\nansible_user=root\n"
        f"ansible_ssh_common_args=-F {vm.directory}/ssh_config\n"
    )
    install = [SOURCE / "scripts" / "install-reaper.sh", "--inventory", inventory]
    run([*install, "--package", package()], timeout=1200)
    again = run([*install, "--package", package()], timeout=1200)
    assert "changed=0" in again.stdout

    # the exit code, and the cgroup that the workload is in
    vm.sh("mkdir -p /empty")

    def ctr_run(flags, name, command):
        # --rootfs is the last flag: it takes no value, the directory is an argument
        return f"ctr run {flags} --runtime io.containerd.reaper.v2 --rootfs /empty {name} {command}"

    result = vm.sh(ctr_run("--rm", "code", "/bin/sh -c 'exit 7'"), check=False)
    assert (result.returncode, result.stderr) == (7, "")
    vm.sh(ctr_run("--detach --null-io --cgroup /reaper-test/limited", "cg", "/bin/sleep 600"))
    pid = vm.sh("ctr tasks ls | awk '$1 == \"cg\" { print $2 }'").stdout.strip()
    assert vm.sh(f"cat /proc/{pid}/cgroup").stdout.strip() == "0::/reaper-test/limited"
    assert vm.sh("cat /sys/fs/cgroup/reaper-test/limited/cgroup.procs").stdout.split() == [pid]
    vm.sh("ctr tasks kill -s 9 cg")
    until(lambda: "STOPPED" in vm.sh("ctr tasks ls").stdout, limit=120)
    vm.sh("ctr tasks delete cg; ctr containers rm cg", check=False)
    assert vm.sh("ls -d /sys/fs/cgroup/reaper-test/limited", check=False).returncode != 0

    # a write stays off the machine
    vm.sh(ctr_run("--rm", "writer", "/bin/sh -c 'echo x > /etc/reaper-was-here'"))
    assert vm.sh("ls /etc/reaper-was-here", check=False).returncode != 0
    greeting = vm.sh(ctr_run("--rm", "hello", f"/bin/echo '{GREETING}'")).stdout
    assert greeting == GREETING + "\n"

    run([*install, "--rollback"], timeout=1200)
    after = vm.sh("sha256sum /etc/containerd/config.toml; stat -c '%a %u %g' /etc/containerd/config.toml").stdout
    assert after == before
    leftovers = vm.sh("ls -d /run/reaper /run/containerd/s/* 2>/dev/null; pgrep -l 'shim-reaper|reaper-runtime|reaperctl'", check=False)
    assert leftovers.stdout == ""
