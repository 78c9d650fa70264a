"""A machine with a kernel of its own: cgroup v2 with every controller, AppArmor, quotas."""

import pytest

from emulator import Vm
from installed import GREETING, package
from machine import SOURCE, run
from waiting import until

pytestmark = pytest.mark.submission(
    "the only machine with all of cgroup v2 and with SSH; five minutes, most of it emulation"
)


@pytest.fixture
def vm():
    made = Vm()
    yield made
    made.close()


def pid_of(vm, name):
    return vm.sh(f"ctr tasks ls | awk '$1 == \"{name}\" {{ print $2 }}'").stdout.strip()


def end(vm, name):
    vm.sh(f"ctr tasks kill -s 9 {name}")
    until(lambda: "STOPPED" in vm.sh(f"ctr tasks ls | grep '^{name} '").stdout, limit=120)
    vm.sh(f"ctr tasks delete {name}; ctr containers rm {name}", check=False)


# a device that nobody has: open() says so where the rules let it, and is refused where they do not
PROBE = "mknod /dev/probe c 1 99 && : < /dev/probe"
LIMITS = "--memory-limit 67108864 --cpu-quota 20000 --cpu-period 100000"


def check_cgroup(vm, ctr_run):
    """cgroup v2 by hand: the place, limits, device rules as a BPF program, the end of everything in it."""
    script = "setsid sleep 1301 & setsid setsid sleep 1302 & exec sleep 1300"
    vm.sh(ctr_run(f"--detach --null-io --with-ns pid:/proc/1/ns/pid --cgroup /reaper-test/limited {LIMITS}",
                  "cg", f"/bin/sh -c '{script}'"))  # fmt: skip
    pid = pid_of(vm, "cg")
    assert vm.sh(f"cat /proc/{pid}/cgroup").stdout.strip() == "0::/reaper-test/limited"
    until(lambda: len(vm.sh("cat /sys/fs/cgroup/reaper-test/limited/cgroup.procs").stdout.split()) == 3, limit=120)
    values = vm.sh("cd /sys/fs/cgroup/reaper-test/limited && cat memory.max cpu.max").stdout
    assert values == "67108864\n20000 100000\n"
    probe = vm.sh(f"ctr tasks exec --exec-id probe cg /bin/sh -c '{PROBE}'", check=False)
    assert "Operation not permitted" in probe.stdout + probe.stderr
    end(vm, "cg")
    assert vm.sh("pgrep -f 'sleep 130[0-2]'", check=False).stdout == ""
    assert vm.sh("ls -d /sys/fs/cgroup/reaper-test/limited", check=False).returncode != 0


def check_scope(vm, ctr_run):
    """The same as a scope of systemd's, whose limits outlive a daemon-reload."""
    vm.sh(ctr_run(f"--detach --null-io --cgroup reaper-vm.slice:reaper:scope {LIMITS}", "sc", "/bin/sleep 600"))
    directory = "/reaper.slice/reaper-vm.slice/reaper-scope.scope"
    assert vm.sh(f"cat /proc/{pid_of(vm, 'sc')}/cgroup").stdout.strip() == f"0::{directory}"
    show = "systemctl show reaper-scope.scope --property=Delegate --property=MemoryMax --value"
    assert sorted(vm.sh(show).stdout.split()) == ["67108864", "yes"]
    vm.sh("systemctl daemon-reload && systemctl is-active reaper-scope.scope")
    assert vm.sh(f"cd /sys/fs/cgroup{directory} && cat memory.max cpu.max").stdout == "67108864\n20000 100000\n"
    probe = vm.sh(f"ctr tasks exec --exec-id probe sc /bin/sh -c '{PROBE}'", check=False)
    assert "Operation not permitted" in probe.stdout + probe.stderr
    end(vm, "sc")
    assert vm.sh("systemctl show reaper-scope.scope --property=LoadState --value").stdout.strip() == "not-found"
    vm.sh("systemctl stop reaper.slice")
    # a short name: see src/systemd/call.c, AUTH_READ
    assert vm.sh("journalctl -u containerd --no-pager | grep 'has not answered'", check=False).stdout == ""


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
    check_cgroup(vm, ctr_run)
    check_scope(vm, ctr_run)

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
