#!/bin/bash
# Runs a command as root where programs of another architecture run, too, by qemu's user emulation.
#
#   ci/emulated.sh ARCH COMMAND…        (ARCH: arm64)
#
# In a user, mount and pid namespace of its own, whose table of emulators nobody else sees: the machine's is changed
# by every node that boots on it (systemd-binfmt empties it). Every user is itself in there, but no device can be
# made. Linux 6.7 or later.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

arch=${1:-}
case $arch in
arm64) rule=/usr/lib/binfmt.d/qemu-aarch64.conf ;;
'') die "for which architecture? (arm64)" ;;
*) die "unknown architecture: $arch (known: arm64)" ;;
esac
shift
[ $# -gt 0 ] || die "no command given"
need_root
apt_install qemu-user-static

# shellcheck disable=SC2016 # of the shell inside
inside='mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || {
    echo "emulated.sh: a table of emulators of its own needs Linux 6.7" >&2
    exit 1
}
cat "$0" >/proc/sys/fs/binfmt_misc/register
exec "$@"'
exec 4<&0 5>&1
# the users are given to it from outside, when it is there
# shellcheck disable=SC2016
coproc inner {
    exec unshare --user bash -c 'echo; read -r _
        exec unshare --mount --pid --fork --kill-child --mount-proc bash -euc "$@" <&4 >&5 4<&- 5>&-' sh "$inside" "$rule" "$@"
}
pid=${inner_PID:?}
read -r _ <&"${inner[0]}"
echo "0 0 4294967295" >"/proc/$pid/uid_map"
echo "0 0 4294967295" >"/proc/$pid/gid_map"
echo >&"${inner[1]}"
rc=0
wait "$pid" || rc=$?
exit "$rc"
