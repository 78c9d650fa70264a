"""Project quotas on the disk that takes the workloads' writes: only a kernel of its own has them here."""

import pytest

from emulator import Vm
from machine import run
from waiting import until

pytestmark = pytest.mark.full("a second boot of the emulated machine, for one feature")

SETTINGS = "REAPER_UPPER_BASE=/srv/uppers\\nREAPER_UPPER_SIZE=20M\\nREAPER_OVERLAY_ISOLATION=pod\\n"
FILL = "head -c 100M /dev/zero 2>&1 >/var/tmp/fill | grep -o -e No.space -e quota; stat -c %s /var/tmp/fill"
RUN = "--runtime io.containerd.reaper.v2 --rootfs /empty"


# the smallest that mkfs makes
MAKE = {"ext4": (80, ["mkfs.ext4", "-q", "-O", "project,quota", "-E", "quotatype=prjquota"]), "xfs": (320, ["mkfs.xfs", "-q"])}


@pytest.fixture(scope="module")
def machine():
    """The machine with our programs."""
    made = Vm()
    try:
        made.install()
        yield made
    finally:
        made.close()


@pytest.fixture(params=MAKE)
def vm(machine, tmp_path, request):
    """With a file system with project quotas on /srv/uppers."""
    size, make = MAKE[request.param]
    image = tmp_path / "disk.img"
    with open(image, "wb") as file:
        file.truncate(size << 20)
    run([*make, image])
    run(["gzip", "-1", image])
    with open(f"{image}.gz", "rb") as file:
        machine.sh("gunzip | dd conv=sparse bs=64k of=/disk.img status=none", stdin=file)
    machine.sh("mkdir -p /empty /srv/uppers /etc/reaper && mount -o loop,prjquota /disk.img /srv/uppers && "
               f"chmod 700 /srv/uppers && printf '{SETTINGS}' > /etc/reaper/reaper.conf")  # fmt: skip
    yield machine
    machine.sh("umount /srv/uppers && rm /disk.img")


def fill(vm, name, *annotations):
    flags = " ".join(f"--annotation reaper.runtime/{a}" for a in annotations)
    result = vm.sh(f"ctr run --rm {flags} {RUN} {name} /bin/sh -c '{FILL}'", check=False)
    word, written = result.stdout.split("\n")[:2]
    assert word in ("quota", "No space"), result.stderr
    return int(written)


def test_each_group_has_a_project_quota(vm):
    # the node's limit, an annotation that narrows it, and a group beside one that is full
    assert 18 << 20 < fill(vm, "a") <= 20 << 20
    assert 4 << 20 < fill(vm, "b", "upper-size=5M") <= 5 << 20
    vm.sh(f"ctr run --detach --null-io {RUN} c /bin/sh -c 'head -c 100M /dev/zero >/var/tmp/fill; exec sleep 600'")
    assert 18 << 20 < fill(vm, "d") <= 20 << 20
    vm.sh("ctr tasks kill -s 9 c")
    until(lambda: "STOPPED" in vm.sh("ctr tasks ls").stdout, limit=120)
    vm.sh("ctr tasks delete c && ctr containers rm c")
    # files, too
    vm.sh("echo REAPER_UPPER_INODES=1024 >> /etc/reaper/reaper.conf")
    script = "cd /var/tmp && i=0; while (: >f$i) 2>/dev/null; do i=$((i + 50)); mkdir d$i && (cd d$i && touch $(seq 49)) || break; done; find . | wc -l"
    counted = vm.sh(f"ctr run --rm {RUN} e /bin/sh -c '{script}' 2>/dev/null", check=False).stdout
    assert 900 < int(counted) < 1024
    assert vm.sh("ls -A /srv/uppers").stdout in ("lost+found\n", "")
