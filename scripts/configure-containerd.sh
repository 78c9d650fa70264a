#!/bin/bash
# Brings the runtime reaper-v2 into the containerd of one node.
#
#   scripts/configure-containerd.sh kind NODE-ID [REAPERCTL OPTIONS]
#
# NODE-ID is the name or the id of the node's container (docker ps). The programs of Reaper that
# the node has not are taken from build/ and put into its /usr/local/bin. Then `reaperctl containerd
# apply` does the work there; what follows NODE-ID goes to it, for example --dry-run --diff. Its exit
# status is that of this script.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
    echo "configure-containerd: error: $*" >&2
    exit "${status:-1}"
}

case ${1:-} in
-h | --help)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
kind) ;;
*) status=2 die "unknown kind of node: '${1:-}' (known: kind; see --help)" ;;
esac
[ -n "${2:-}" ] || status=2 die "which node? (see --help)"
node=$2
shift 2

running=$(docker inspect --format '{{.State.Running}}' "$node" 2>/dev/null) ||
    die "there is no container $node here"
[ "$running" = true ] || die "the container $node does not run"
for program in containerd-shim-reaper-v2 reaper-runtime reaperctl; do
    if docker exec "$node" sh -c 'command -v "$1" >/dev/null' sh "$program"; then continue; fi
    [ -x "$top/build/$program" ] ||
        die "$node has no $program, and neither has build/ (cmake -B build -G Ninja && cmake --build build)"
    docker cp --quiet "$top/build/$program" "$node:/usr/local/bin/$program" ||
        die "$program could not be copied to $node"
done
exec docker exec "$node" reaperctl containerd apply "$@"
