#!/bin/bash
# Makes and keeps the chroot that piuparts tests the package in: a minimal system with containerd.
#
#   ci/piuparts-root.sh SUITE    build if it is not there; prints the tar of it
#
# SUITE: a release of Debian (bookworm, trixie, sid) or of Ubuntu (noble), whose archive has to be
# reached. Ubuntu's is taken for what its key of 2018 signs (ci/node/ubuntu-archive.asc).

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

suite=${1:-}
[ $# = 1 ] || die "which suite? (bookworm, trixie, sid or noble)"
case $suite in
bookworm | trixie | sid | noble) ;;
*) die "unknown suite: $suite (known: bookworm, trixie, sid, noble)" ;;
esac

# sid is a moving target: it is made anew once a month, and piuparts upgrades it
month=$(date -u +%Y%m)
hash=$({ cat "$0"; [ "$suite" != sid ] || echo "$month"; } | sha256sum | cut -c1-12)
tar=$REAPER_CI_STATE/piuparts/$suite-$hash.tar.gz
if [ -e "$tar" ]; then
    echo "$tar"
    exit 0
fi
need_root
# mmdebstrap knows by them whose suite it is
apt_install mmdebstrap debian-archive-keyring debootstrap distro-info-data gpg
state_lock "piuparts-$suite"
if [ -e "$tar" ]; then
    echo "$tar"
    exit 0
fi

say "building the root of $suite (one to two minutes)"
mkdir -p "$REAPER_CI_STATE/piuparts"
work=$(mktemp -d "$REAPER_CI_STATE/piuparts/making.XXXXXX")
trap 'rm -rf "$work"' EXIT
options=()
case $suite in
noble)
    # apt reads it as a user of its own
    chmod 755 "$work"
    gpg --dearmor <"$here/node/ubuntu-archive.asc" >"$work/archive.gpg"
    options+=("--keyring=$work/archive.gpg")
    ;;
# a suite under way may be past its date on a mirror that stands still
sid) options+=("--aptopt=Acquire::Check-Valid-Until \"false\"") ;;
esac
mmdebstrap --variant=minbase --include=apt,containerd,ca-certificates "${options[@]}" "$suite" "$work/root.tar.gz" \
    >"$work/log" 2>&1 </dev/null || {
    tail -n 30 "$work/log" >&2
    die "mmdebstrap failed for $suite"
}
find "$REAPER_CI_STATE/piuparts" -maxdepth 1 -name "$suite-*.tar*" -delete
mv "$work/root.tar.gz" "$tar"
echo "$tar"
