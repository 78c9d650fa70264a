#!/bin/bash
# Makes and removes nodes: systemd containers that look like those of kind.
#
#   ci/node.sh create --image IMAGE --cluster NAME [--role ROLE] [--no-pause] NODE
#                                    start the node and wait until its systemd has booted;
#                                    exit 0 at once if NODE runs already
#   ci/node.sh exec NODE COMMAND…    run COMMAND in the node (stdin is passed on)
#   ci/node.sh copy NODE FILE… DIR   copy FILEs into DIR of the node
#   ci/node.sh root NODE             print the path of the node's root as the host sees it
#                                    (/proc/PID/root; CRI's socket is below it)
#   ci/node.sh delete NODE…          remove nodes with their volumes; unknown ones are fine
#   ci/node.sh delete --cluster NAME remove all nodes of a cluster
#   ci/node.sh list [--cluster NAME] names of the nodes, one a line
#
# IMAGE comes from ci/node-image.sh. The labels are kind's own (io.x-k8s.kind.cluster and
# io.x-k8s.kind.role; ROLE is control-plane or worker, default control-plane), so `kind get nodes`
# and scripts/install-reaper.sh --kind NAME find the node. Unless --no-pause is given, the pause
# image that the node's containerd asks for is imported (an image without layers), since the node
# has no registry.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

boot_limit=180

running() { [ "$(docker inspect --format '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

# The console tells when systemd has come to its last target; after that the bus answers.
wait_for_boot() {
    local node=$1 log follower state
    # a follower of its own, so that it can be ended when the line has come
    exec {log}< <(exec docker logs --follow "$node" 2>&1)
    follower=$!
    if ! timeout "$boot_limit" grep -q -m1 -E 'Reached target .*([Mm]ulti-[Uu]ser|[Gg]raphical)' <&"$log"; then
        kill "$follower" 2>/dev/null || true
        docker logs --tail 30 "$node" >&2 || true
        die "$node: systemd did not boot within $boot_limit seconds"
    fi
    kill "$follower" 2>/dev/null || true
    exec {log}<&-
    state=$(timeout "$boot_limit" docker exec "$node" systemctl is-system-running --wait || true)
    case $state in
    running) ;;
    degraded)
        say "$node: some units failed:"
        docker exec "$node" systemctl --failed --no-legend --plain >&2
        ;;
    *) die "$node: systemd is '$state'" ;;
    esac
}

import_pause() {
    local node=$1 name
    docker exec "$node" systemctl is-active --quiet containerd || return 0
    name=$(docker exec "$node" containerd config dump |
        sed -n -E "s/^ *(sandbox_image|sandbox) = [\"']([^\"']+)[\"'].*/\2/p" | head -n 1)
    [ -n "$name" ] || die "$node: containerd config dump names no pause image"
    docker exec "$node" sh -c \
        'pause-image.sh "$1" | ctr --namespace k8s.io images import --no-unpack - >/dev/null' \
        sh "$name" || die "$node: could not import the pause image $name"
}

create() {
    local image='' cluster='' role=control-plane pause=1 node=''
    while [ $# -gt 0 ]; do
        case $1 in
        --image) image=$2 && shift ;;
        --cluster) cluster=$2 && shift ;;
        --role) role=$2 && shift ;;
        --no-pause) pause=0 ;;
        -*) die "create: unknown option $1" ;;
        *) node=$1 ;;
        esac
        shift
    done
    if [ -z "$image" ] || [ -z "$cluster" ] || [ -z "$node" ]; then
        die "create needs --image IMAGE --cluster NAME NODE"
    fi
    running "$node" && return 0
    docker rm --force --volumes "$node" >/dev/null 2>&1 || true
    # --tty: systemd tells its progress to a console only if it is a terminal
    docker run --pull never --detach --tty --name "$node" --hostname "$node" \
        --label "io.x-k8s.kind.cluster=$cluster" --label "io.x-k8s.kind.role=$role" \
        --privileged --cgroupns=private --security-opt seccomp=unconfined \
        --tmpfs /run --tmpfs /tmp --volume /var --volume /lib/modules:/lib/modules:ro \
        --stop-signal SIGRTMIN+3 "$image" >/dev/null
    wait_for_boot "$node"
    [ "$pause" = 0 ] || import_pause "$node"
}

delete() {
    local nodes=("$@")
    if [ "${1:-}" = --cluster ]; then
        mapfile -t nodes < <(list --cluster "$2")
    fi
    [ "${#nodes[@]}" -gt 0 ] || return 0
    docker rm --force --volumes "${nodes[@]}" >/dev/null 2>&1 || true
}

list() {
    local filter=io.x-k8s.kind.cluster
    [ "${1:-}" != --cluster ] || filter=$filter=$2
    docker ps --all --filter "label=$filter" --format '{{.Names}}'
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
create | delete | list) "$command" "$@" ;;
exec)
    node=$1
    shift
    exec docker exec --interactive "$node" "$@"
    ;;
copy)
    node=$1
    shift
    target=${!#}
    for file in "${@:1:$#-1}"; do
        docker cp --quiet "$file" "$node:$target"
    done
    ;;
root) echo "/proc/$(docker inspect --format '{{.State.Pid}}' "$1")/root" ;;
*) die "unknown command: '$command' (known: create, exec, copy, root, delete, list)" ;;
esac
