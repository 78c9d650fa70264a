#!/bin/bash
# Builds and keeps the image of a node: a stock Debian with systemd and its own containerd.
#
#   ci/node-image.sh SUITE           build if it is not there; prints reaper-node:SUITE-HASH
#   ci/node-image.sh --name SUITE    print the name only; builds nothing
#   ci/node-image.sh --delete        remove all images of this script from the engine
#
# SUITE: bookworm (containerd 1.6), trixie (1.7) or forky (2.1).
# The HASH covers everything that goes into an image, so a change makes a new one and an old
# checkout finds its own. Needs an engine (ci/engine.sh). The node has what its Debian has, and
# nothing of Reaper; there is no python in it, as in kind's node images.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

packages=systemd,systemd-sysv,dbus,containerd,runc,containernetworking-plugins,iproute2,iptables,procps,kmod,util-linux,mount,ca-certificates
# services that reach for hardware or the network of the machine below
masked="apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service"
masked+=" getty.target console-getty.service systemd-logind.service systemd-modules-load.service"
masked+=" sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount"
masked+=" systemd-remount-fs.service systemd-networkd.service systemd-resolved.service"

image_name() {
    local hash
    hash=$({
        echo "$1 $packages $masked"
        cat "$here/node/init" "$here/node/pause-image.sh" "$here/node-image.sh"
    } | sha256sum | cut -c1-12)
    echo "reaper-node:$1-$hash"
}

check_suite() {
    case $1 in
    bookworm | trixie | forky) ;;
    '') die "which suite? (bookworm, trixie or forky)" ;;
    *) die "unknown suite: $1 (known: bookworm, trixie, forky)" ;;
    esac
}

case ${1:-} in
--name)
    check_suite "${2:-}"
    image_name "$2"
    exit 0
    ;;
--delete)
    docker images --quiet reaper-node | sort -u | xargs --no-run-if-empty docker rmi --force >/dev/null
    exit 0
    ;;
esac

check_suite "${1:-}"
suite=$1
name=$(image_name "$suite")
docker info >/dev/null 2>&1 || die "no container engine answers; run ci/engine.sh first"
if docker image inspect "$name" >/dev/null 2>&1; then
    echo "$name"
    exit 0
fi

need_root
apt_install mmdebstrap debian-archive-keyring
state_lock "node-image-$suite"
if docker image inspect "$name" >/dev/null 2>&1; then
    echo "$name"
    exit 0
fi

say "building $name (one to two minutes)"
work=$(mktemp -d "$REAPER_CI_STATE/node-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
options=()
if [ "$suite" = forky ]; then
    # a suite under way: its Release file may be past its date on a mirror that stands still
    options+=("--aptopt=Acquire::Check-Valid-Until \"false\"")
fi
# shellcheck disable=SC2086,SC2016
mmdebstrap --quiet --variant=minbase "--include=$packages" "${options[@]}" \
    --customize-hook='copy-in '"$here"'/node/init '"$here"'/node/pause-image.sh /usr/local/sbin' \
    --customize-hook='mv "$1/usr/local/sbin/init" "$1/usr/local/sbin/node-init"' \
    --customize-hook='chroot "$1" systemctl mask '"$masked" \
    --customize-hook='rm -f "$1/etc/machine-id" && : >"$1/etc/machine-id"' \
    "$suite" "$work/root.tar" >"$work/log" 2>&1 </dev/null || {
    tail -n 30 "$work/log" >&2
    die "mmdebstrap failed for $suite"
}

# LEGACY_FORCE: systemd 256 and 257 boot on cgroup v1 only when they are told to
docker import --change 'ENV container=docker SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1' \
    --change 'ENTRYPOINT ["/usr/local/sbin/node-init"]' \
    --change "LABEL io.reaper.suite=$suite" \
    "$work/root.tar" "$name" >/dev/null
echo "$name"
