"""What a node of today has and the machine of the tests has not: cgroup2 alone with every controller, AppArmor."""

import pytest

from emulator import Vm
from waiting import until

pytestmark = pytest.mark.full("one boot of the emulated machine for all of it; ten minutes")

RUN = "--runtime io.containerd.reaper.v2"
PROFILE = """profile reaper-test flags=(attach_disconnected) {
  file, capability, network, signal, ptrace, mount, umount, pivot_root, unix,
  deny /**/os-release r,
  deny /etc/hostname r,
}"""


@pytest.fixture(scope="module")
def vm():
    made = Vm()
    try:
        made.install()
        made.take_tests()
        made.sh("mkdir -p /empty && fallocate -l 400M /swap && chmod 600 /swap && mkswap -q /swap && swapon /swap")
        yield made
    finally:
        made.close()


# systemd keeps the slices that it has made; the census would say so
SLICES = r"^(?!.*\[a-b\.slice|.*\[a\.slice)"


@pytest.mark.parametrize("module", ["cgroups", "update", "oom", "stats", "pause"])
def test_component_tests_hold(vm, module):
    """The files of cgroup2, the BPF program of the devices, memory.events, cgroup.freeze and cgroup.kill."""
    controllers = vm.sh("cat /sys/fs/cgroup/cgroup.controllers").stdout.split()
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(controllers)
    result = vm.component(module, SLICES)
    assert result.returncode == 0, result.stdout
    assert "skipped" not in result.stdout


def test_an_apparmor_profile_confines_the_task_and_its_execs(vm):
    vm.sh(f"apparmor_parser --replace <<'EOT'\n{PROFILE}\nEOT")
    look = "cat /proc/self/attr/current; cat /etc/hostname"
    flags = "--apparmor-profile reaper-test --rootfs /empty"
    said = vm.sh(f"ctr run --rm {RUN} {flags} task /bin/sh -c '{look}'", check=False)
    assert said.stdout == "reaper-test (enforce)\n" and "Permission denied" in said.stderr
    vm.sh(f"ctr run --detach --null-io {RUN} {flags} other /bin/sleep 600")
    said = vm.sh(f"ctr tasks exec --exec-id look other /bin/sh -c '{look}'", check=False)
    assert said.stdout == "reaper-test (enforce)\n" and "Permission denied" in said.stderr
    vm.sh("ctr tasks kill -s 9 other")
    until(lambda: "STOPPED" in vm.sh("ctr tasks ls").stdout, limit=120)
    vm.sh("ctr tasks delete other && ctr containers rm other")
    plain = vm.sh(f"ctr run --rm {RUN} --rootfs /empty plain /bin/sh -c '{look}'").stdout
    assert plain == "unconfined\nreaper-vm\n"


def test_an_apparmor_profile_that_is_not_loaded_is_refused_by_name(vm):
    said = vm.sh(f"ctr run --rm {RUN} --apparmor-profile nobody-has-it --rootfs /empty task /bin/true", check=False)
    assert said.returncode != 0
    assert "AppArmor profile nobody-has-it: not loaded on this node" in said.stderr
    vm.sh("ctr containers rm task", check=False)


def test_the_kernels_killer_is_told_before_the_exit(vm):
    """Through containerd: the first process, and a child of one that goes on."""
    vm.sh("swapoff /swap; systemd-run --unit listen --collect sh -c 'exec ctr events >/events'")
    for name, script, status in (("first", "exec tail /dev/zero", 137), ("child", "tail /dev/zero; exit 5", 5)):
        said = vm.sh(f"ctr run --rm {RUN} --memory-limit 33554432 --rootfs /empty {name} /bin/sh -c '{script}'", check=False)
        assert said.returncode == status, said.stderr
        lines = until(lambda name=name: (found := [line.split()[5] for line in vm.sh("cat /events").stdout.splitlines()
                                       if f'"{name}"' in line and "/tasks/" in line]) and "/tasks/delete" in found and found, limit=60)  # fmt: skip
        assert lines.count("/tasks/oom") == 1 and lines.index("/tasks/oom") < lines.index("/tasks/exit"), lines
    vm.sh("systemctl stop listen")
