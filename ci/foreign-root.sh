#!/bin/bash
# Makes and keeps a minimal Debian with containerd of another architecture than this machine's.
#
#   ci/foreign-root.sh ARCH    build if it is not there; prints the tar of it (ARCH: arm64)
#
# Made and to be used through ci/emulated.sh. There are no devices in it: who enters it binds /dev and mounts /proc.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

arch=${1:-}
[ $# = 1 ] || die "which architecture? (arm64)"
case $arch in
arm64) ;;
*) die "unknown architecture: $arch (known: arm64)" ;;
esac
hash=$(cat "$0" "$here/emulated.sh" | sha256sum | cut -c1-12)
tar=$REAPER_CI_STATE/foreign-root/$arch-$hash.tar
if [ -e "$tar" ]; then
    echo "$tar"
    exit 0
fi
need_root
apt_install mmdebstrap debian-archive-keyring arch-test qemu-user-static
state_lock "foreign-root-$arch"
if [ -e "$tar" ]; then
    echo "$tar"
    exit 0
fi

say "building a root of $arch (a few minutes, for it is emulated)"
mkdir -p "${tar%/*}"
work=$(mktemp -d "${tar%/*}/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
TMPDIR=$work "$here/emulated.sh" "$arch" mmdebstrap --mode=root --variant=essential --arch="$arch" --include=containerd \
    bookworm "$work/root.tar" >"$work/log" 2>&1 </dev/null || {
    tail -n 30 "$work/log" >&2
    die "mmdebstrap failed for $arch"
}
find "${tar%/*}" -maxdepth 1 -name "$arch-*.tar" -delete
mv "$work/root.tar" "$tar"
echo "$tar"
