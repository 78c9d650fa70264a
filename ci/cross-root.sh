#!/bin/bash
# What a build for another architecture needs: the compiler on this machine, and a directory with that
# architecture's C library and the libraries that are linked in.
#
#   ci/cross-root.sh ARCH           make it if it is not there; prints its path (ARCH: arm64 or amd64)
#   ci/cross-root.sh --plan ARCH    print the Debian packages it would install; changes nothing
#
# This machine's package database stays of one architecture: the foreign packages are fetched with lists
# of their own, checked by apt as always, and only unpacked. Their names and versions are kept in the
# directory as dpkg's database has them, so that dpkg-query --admindir=DIR/var/lib/dpkg answers.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

foreign="libc6 libc6-dev linux-libc-dev libjson-c-dev libprotobuf-c-dev libseccomp-dev"
plan=0
if [ "${1:-}" = --plan ]; then
    plan=1
    shift
fi
arch=${1:-}
case $arch in
arm64) compiler=gcc-aarch64-linux-gnu emulator=qemu-user-static ;;
amd64) compiler=gcc-x86-64-linux-gnu emulator=qemu-user-static ;;
'') die "for which architecture? (arm64 or amd64)" ;;
*) die "unknown architecture: $arch (known: arm64, amd64)" ;;
esac
[ "$arch" != "$(dpkg --print-architecture)" ] || die "$arch is this machine's own architecture"
# the programs write their own manual pages, so the build starts them
if [ "$plan" = 1 ]; then
    apt_missing "$compiler" "$emulator"
    exit 0
fi
missing=$(apt_missing "$compiler" "$emulator")
[ -z "$missing" ] || need_root
apt_install "$compiler" "$emulator"

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=$REAPER_CI_STATE/cross-root/$arch-$release-$({ echo "$foreign"; cat "$0"; } | sha256sum | cut -c1-12)
if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi
state_lock "cross-root-$arch"
if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi
say "fetching the libraries of $arch"
mkdir -p "${root%/*}"
work=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt"/{lists,cache/archives}/partial "$work/debs" "$work/root/var/lib/dpkg/info"
: >"$work/apt/status"
# as the calling user: the sandbox's user may not reach this directory
apt=(apt-get -q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$work/apt"
    -o "Dir::State::Lists=$work/apt/lists" -o "Dir::State::status=$work/apt/status" -o "Dir::Cache=$work/apt/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
{
    # shellcheck disable=SC2086 # words
    "${apt[@]}" update && cd "$work/debs" && "${apt[@]}" download $foreign
} >"$work/log" 2>&1 </dev/null || {
    tail -n 20 "$work/log" >&2
    die "the libraries of $arch could not be fetched"
}
cd "$work"
for deb in debs/*.deb; do
    dpkg-deb -x "$deb" root
    {
        dpkg-deb -f "$deb"
        echo "Status: install ok installed"
        echo
    } >>root/var/lib/dpkg/status
done
# built as root or not, every user may build with it
chmod 0755 root
mv -T root "$root"
echo "$root"
