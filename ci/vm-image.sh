#!/bin/bash
# Builds and keeps the image of a virtual machine: Debian 13 with its own kernel and containerd.
#
#   ci/vm-image.sh             build if it is not there; prints the image's directory
#   ci/vm-image.sh --name      print the directory only; builds nothing
#   ci/vm-image.sh --delete    remove all images of this script
#
# The directory holds disk.ext4 (a root file system without partitions), vmlinuz, initrd.img and
# id (an SSH key that root's account in the machine accepts). The kernel is Debian's cloud kernel:
# cgroup v2 with all controllers, AppArmor, quotas, which a node container cannot have here. Each
# ci/vm.sh run works on a copy of the disk.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

packages=systemd,systemd-sysv,dbus,linux-image-cloud-amd64,containerd,runc,openssh-server,iproute2,iptables,procps,kmod,python3,apparmor,udev,initramfs-tools

hash=$({
    echo "$packages"
    cat "$here/vm-image.sh" "$here/node/pause-image.sh"
} | sha256sum | cut -c1-12)
target=$REAPER_CI_STATE/vm/trixie-$hash

case ${1:-} in
'') ;;
--name)
    echo "$target"
    exit 0
    ;;
--delete)
    rm -rf "$REAPER_CI_STATE/vm"
    exit 0
    ;;
*) die "unknown argument: $1 (known: --name, --delete)" ;;
esac

if [ -e "$target/complete" ]; then
    echo "$target"
    exit 0
fi
need_root
apt_install mmdebstrap debian-archive-keyring e2fsprogs openssh-client
state_lock vm-image
if [ -e "$target/complete" ]; then
    echo "$target"
    exit 0
fi
say "building the virtual machine's image (two to three minutes)"
rm -rf "$target"
mkdir -p "$target"
ssh-keygen -q -t ed25519 -N '' -C reaper-vm -f "$target/id"
root=$target/root
# the host keys are the image's: the machine lives for one test and is reached on 127.0.0.1 only
# shellcheck disable=SC2016
mmdebstrap --quiet --variant=minbase "--include=$packages" \
    --customize-hook='mkdir -p "$1/root/.ssh" && chmod 700 "$1/root/.ssh"' \
    --customize-hook="upload $target/id.pub /root/.ssh/authorized_keys" \
    --customize-hook="upload $here/node/pause-image.sh /usr/local/sbin/pause-image.sh" \
    --customize-hook='chmod 755 "$1/usr/local/sbin/pause-image.sh"' \
    --customize-hook='echo quota_v2 >>"$1/etc/initramfs-tools/modules" && chroot "$1" update-initramfs -u' \
    --customize-hook='echo reaper-vm >"$1/etc/hostname"' \
    --customize-hook='echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
    --customize-hook='printf "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n" >"$1/etc/systemd/network/all.network"' \
    --customize-hook='chroot "$1" systemctl enable systemd-networkd ssh' \
    --customize-hook='chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online.service e2scrub_reap.service' \
    trixie "$root" >"$target/log" 2>&1 </dev/null || {
    tail -n 30 "$target/log" >&2
    die "mmdebstrap failed"
}
cp "$root"/boot/vmlinuz-* "$target/vmlinuz"
cp "$root"/boot/initrd.img-* "$target/initrd.img"
rm -rf "${root:?}/boot"/*
mke2fs -q -t ext4 -O quota -d "$root" "$target/disk.ext4" 2500M >&2
rm -rf "$root"
touch "$target/complete"
echo "$target"
