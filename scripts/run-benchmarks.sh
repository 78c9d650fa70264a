#!/bin/bash
# Measures Reaper against runc's shim on this machine, and prints ratios.
#
#   scripts/run-benchmarks.sh [--rows RE] [--rounds FACTOR] [--out FILE] [--document]
#   scripts/run-benchmarks.sh --list
#
#   --list           the rows and what they measure; measures nothing
#   --rows RE        only rows whose name matches; tests/bench/README.md has the list
#   --rounds FACTOR  more or fewer rounds than usual: 0.1, 3
#   --out FILE       where to put the CSV (default: in the log directory that is printed)
#   --document       also make docs/BENCHMARKS.md and its plots from this run
#
# Needs root and Debian 12 or 13; builds the programs and, once, containerd's shim. Every round measures
# each peer in turn, after a warm-up, in namespaces of its own. Times of a busy machine are worth
# little; the ratios still tell.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. ci/common.sh

rows=
rounds=1
csv=
document=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        script_help
        exit 0
        ;;
    --document)
        document=1
        shift
        continue
        ;;
    --list)
        python=$(ci/python-env.sh)/python
        "$python" -B tests/bench/measure.py --list
        exec "$python" -B tests/bench/systemd.py --list
        ;;
    --rows | --rounds | --out) [ $# -ge 2 ] || die "$1 needs a value" ;;&
    --rows) rows=$2 ;;
    --rounds)
        grep -qxE '[0-9]*\.?[0-9]+' <<<"$2" || die "--rounds: not a number: $2"
        rounds=$2
        ;;
    --out) csv=$2 ;;
    *) die "unknown argument: $1 (try --help)" ;;
    esac
    shift 2
done

need_root
apt_install gcc busybox-static iproute2 runc strace openssl
logs=$REAPER_CI_STATE/logs/bench-$(date -u +%Y%m%dT%H%M%SZ)-$$
mkdir -p "$logs"
if [ -z "${REAPER_BINARIES:-}" ]; then
    say "building"
    { cmake --preset release && cmake --build build -- -j2; } >"$logs/build.log" 2>&1 || die "the build failed, see $logs/build.log"
fi
export REAPER_BINARIES=${REAPER_BINARIES:-$root/build}
programs=$(ci/containerd/build.sh 2.4)
gcc -O2 -static -o "$logs/floor" tests/bench/floor.c
python=$(ci/python-env.sh)/python
about() { echo "Commit $(git rev-parse --short HEAD), $(date -u +%F), Linux $(uname -r), $(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg) before the run, rounds × $rounds."; }
about | tee "$logs/about.txt"
status=0
tests/conformance/isolated "$logs" "$python" -B tests/bench/measure.py --programs "$programs" --floor /run/out/floor \
    --rows "$rows" --rounds "$rounds" || status=$?
# systemd is needed: on a node, outside of those namespaces
if grep -qP -- "$rows" <<<"cri_pod_up_systemd cri_pod_down_systemd"; then
    { ci/engine.sh && "$python" -B tests/bench/systemd.py --rounds "$rounds" --out "$logs/results.csv"; } || status=$?
fi
[ -z "$document" ] || "$python" -B tests/bench/document.py "$logs" docs
[ -z "$csv" ] || cp "$logs/results.csv" "$csv"
echo "logs: $logs"
exit "$status"
