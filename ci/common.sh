# shellcheck shell=bash
# What the scripts under ci/ share; sourced, never run.
#
#   REAPER_CI_STATE   where caches, images and logs live, outside every checkout
#                     (default: /var/lib/reaper-ci)

REAPER_CI_STATE=${REAPER_CI_STATE:-/var/lib/reaper-ci}
export REAPER_CI_STATE
# cron-like callers have no sbin on PATH; runc, containerd and dockerd live there
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# mmdebstrap, dpkg-buildpackage and cmake run programs from where they put temporary files
if [ -z "${TMPDIR:-}" ] && findmnt --noheadings --output OPTIONS --target /tmp 2>/dev/null | grep -qw noexec; then
    export TMPDIR=/var/tmp
fi

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# The first comment of the script that was called; which may have gone to another directory since.
script_help() {
    local file=$0
    [ -e "$file" ] || file=${OLDPWD:-.}/$0
    awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$file"
}

# Whoever asks for help and nothing else gets it from every script, and nothing is done.
case ${1:-} in
-h | --help)
    script_help
    exit 0
    ;;
esac

need_root() { [ "$(id -u)" = 0 ] || die "must be run as root"; }

# The checkout this file belongs to.
source_dir() { (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd); }

# state_lock NAME: holds the lock NAME until the calling script ends, so that two runs
# at the same time do the work once.
state_lock() {
    mkdir -p "$REAPER_CI_STATE"
    exec {state_lock_fd}>"$REAPER_CI_STATE/$1.lock"
    flock "$state_lock_fd"
}

# apt_missing PACKAGE...: prints those that are not installed.
apt_missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s\n' "$package"
    done
}

# apt_install PACKAGE...: installs what is missing; nothing installed is upgraded or replaced.
apt_install() {
    local missing
    mapfile -t missing < <(apt_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "needs apt-get to install: ${missing[*]}"
    say "installing ${missing[*]}"
    (
        # one installation at a time; another apt on the machine is waited for
        mkdir -p "$REAPER_CI_STATE"
        exec 9>"$REAPER_CI_STATE/apt.lock"
        flock 9
        export DEBIAN_FRONTEND=noninteractive
        log=$REAPER_CI_STATE/apt.log
        : >"$log"
        apt-get -q -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 ||
            say "warning: apt-get update had errors, see $log"
        apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
            install --no-install-recommends --no-upgrade "${missing[@]}" >>"$log" 2>&1 || {
            tail -n 20 "$log" >&2
            exit 1
        }
    ) </dev/null || die "could not install ${missing[*]}"
}
