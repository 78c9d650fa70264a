#!/bin/bash
# Makes sure that a container engine answers.
#
#   ci/engine.sh            start one if none answers; exit 0 when `docker info` works
#   ci/engine.sh --check    exit 0 if one answers, 1 if not; changes nothing
#   ci/engine.sh --plan     print what a run would install or start, one line each; changes nothing
#   ci/engine.sh --stop     stop the daemon that this script started (and only that one)
#
# An engine that answers is used as it is. Else docker.io is installed where it is missing, and
# dockerd is started: by systemd where systemd runs, by hand elsewhere (log and data under
# $REAPER_CI_STATE/engine). By hand on a machine without CAP_SYS_RESOURCE the default runtime is
# ci/runc-without-sys-resource, for without it no privileged container starts.

set -euo pipefail
. "$(dirname "$0")/common.sh"

state=$REAPER_CI_STATE/engine
pid_file=$state/dockerd.pid
child_pid_file=/run/docker/containerd/containerd.pid

answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }
systemd_runs() { [ -d /run/systemd/system ]; }

lacks_sys_resource() {
    local bounding
    bounding=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
    [ $(((16#$bounding >> 24) & 1)) = 0 ]
}

# docker.io holds the client too up to Debian 12; from 13 on it is docker-cli. The archive's lists
# may not be there yet, so the release decides; one without a number is newer than all that have one.
client_is_apart() {
    # shellcheck disable=SC1091
    (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-13}" -ge 13 ])
}

packages() {
    command -v dockerd >/dev/null || echo docker.io
    if ! command -v docker >/dev/null && client_is_apart; then
        echo docker-cli
    fi
    # without Recommends docker.io comes without these, and dockerd needs them
    command -v iptables >/dev/null || echo iptables
}

# pid_in FILE NAME: the pid in FILE if that process is called NAME and runs; what nobody has reaped
# yet does not.
pid_in() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] || return 1
    ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || return 1
    echo "$pid"
}
our_pid() { pid_in "$pid_file" dockerd; }

start_by_hand() {
    local runtime=()
    mkdir -p "$state/data" "$state/bin"
    if lacks_sys_resource; then
        # a copy, so that the daemon outlives the checkout
        install -m 0755 "$(dirname "$0")/runc-without-sys-resource" "$state/bin/"
        runtime=(--add-runtime "without-sys-resource=$state/bin/runc-without-sys-resource"
            --default-runtime without-sys-resource)
    fi
    # a pid file of a daemon that was killed keeps the next one from starting
    rm -f "$pid_file"
    # its containerd may live on and is used again; else dockerd would wait for whoever has that pid
    pid_in "$child_pid_file" containerd >/dev/null || rm -f "$child_pid_file"
    setsid --fork dockerd --pidfile "$pid_file" --data-root "$state/data" "${runtime[@]}" \
        </dev/null >"$state/dockerd.log" 2>&1
    # dockerd tells only systemd when it is ready, so it has to be asked
    for _ in $(seq 300); do
        answers && return 0
        sleep 0.2
    done
    tail -n 20 "$state/dockerd.log" >&2
    die "dockerd did not start, see $state/dockerd.log"
}

case ${1:-} in
'') ;;
--check)
    answers
    exit
    ;;
--plan)
    answers && exit 0
    for package in $(packages); do echo "install the package $package"; done
    echo "start dockerd"
    exit 0
    ;;
--stop)
    pid=$(our_pid) || exit 0
    say "stopping dockerd ($pid)"
    kill "$pid"
    # its end tells only its parent, and where nobody reaps it stays as a zombie
    while [ -n "$(our_pid)" ]; do sleep 0.2; done
    exit 0
    ;;
*) die "unknown argument: $1 (known: --check, --plan, --stop)" ;;
esac

answers && exit 0
need_root
state_lock engine
answers && exit 0
# the lock is ours until the end, and must not be the daemon's
# shellcheck disable=SC2154
close_lock() { exec {state_lock_fd}>&-; }

mapfile -t missing < <(packages)
apt_install "${missing[@]}"
if systemd_runs; then
    systemctl start docker || die "systemd could not start docker.service"
else
    say "starting dockerd"
    (close_lock && start_by_hand)
fi
answers || die "dockerd was started but does not answer"
