#!/bin/bash
# Installs what the tests need, builds, and runs the tests.
#
#   scripts/run-integration-tests.sh [--tier TIER]… [--set SET] [--filter RE] [--list]
#
#   --tier TIER   unit, component, containerd, merge, node, kube, vm or conformance; may be given
#                 several times (default: all)
#   --set SET     submission (default): what every change must pass, within 70 minutes on two cores;
#                 full: the matrices too; soak: the hours too
#   --filter RE   only tests whose name matches the extended regular expression RE
#   --list        print each test with its set and why it is there; runs nothing
#   --node-image IMAGE
#                 the tier kube on nodes of this image for kind (default: one that is made here, from a
#                 Debian and the Go modules of Kubernetes; see docs/KUBERNETES.md)
#
# Needs root and Debian 12 or 13. Packages that are missing are installed; caches, images and logs
# are kept under $REAPER_CI_STATE (default /var/lib/reaper-ci), so that later runs set up in seconds.
# Ends with a line "N passed, N failed, N skipped" over all tiers; exits 0 only if nothing failed.
# A test may be skipped only with a reason that tests/allowed-skips.txt lists.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. ci/common.sh

all_tiers="unit component containerd merge node kube vm conformance"
# seconds on two cores
declare -A budget=([set-up]=1800 [unit]=180 [component]=240 [containerd]=720 [merge]=540 [node]=720 [kube]=720 [vm]=480 [conformance]=120)
total_budget=4200

tiers=
set_name=submission
filter=
list=0
while [ $# -gt 0 ]; do
    case $1 in
    --tier | --set | --filter | --node-image)
        [ $# -ge 2 ] || die "$1 needs a value"
        ;;&
    --tier)
        case " $all_tiers " in *" $2 "*) ;; *) die "unknown tier: $2 (known: $all_tiers)" ;; esac
        tiers="$tiers $2"
        shift
        ;;
    --set)
        case $2 in submission | full | soak) ;; *) die "unknown set: $2 (known: submission full soak)" ;; esac
        set_name=$2
        shift
        ;;
    --filter)
        # an expression that does not compile would match nothing, and that would look like success
        grep -qE -- "$2" </dev/null || [ $? = 1 ] || die "--filter: not a regular expression: $2"
        filter=$2
        shift
        ;;
    --node-image)
        export REAPER_KUBE_NODE_IMAGE=$2
        shift
        ;;
    --list) list=1 ;;
    -h | --help)
        script_help
        exit 0
        ;;
    *) die "unknown argument: $1 (try --help)" ;;
    esac
    shift
done
tiers=${tiers:-$all_tiers}

wants() { case " $tiers " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
matches() { [ -z "$filter" ] || grep -qE -- "$filter" <<<"$1"; }

# --- the static checks: tests of the tier unit -------------------------------------------------

static_checks="layers headers size footprint defects cases links blocks diagrams format tidy shell gcc-warnings clang-warnings"

check_layers() { ci/check-layers; }
check_headers() { ci/check-headers build; }
check_size() { ci/check-size; }
check_footprint() { ci/check-footprint build; }
check_defects() { (tiers=$all_tiers filter='' && list_tests) >"$logs/list" && ci/check-defects "$logs/list"; }
check_cases() { (tiers=$all_tiers filter='' && list_tests) >"$logs/list" && ci/check-cases "$logs/list"; }
check_links() { ci/check-links; }
check_blocks() { ci/check-blocks; }
check_diagrams() { ci/build-diagrams --check && ci/record-quickstart --check; }
check_format() { find src tests/unit -name '*.[ch]' -print0 | xargs -0 -r "$python_bin/clang-format" --dry-run -Werror; }
check_tidy() { [ -e "$logs/tidy-clean" ] || { cat "$logs/tidy.log"; false; }; }
check_shell() {
    git ls-files -z -- 'scripts/*' 'ci/*' '.ci/*' tests/support tests/conformance packaging |
        xargs -0 grep -lZE -m1 '^#!/bin/(ba)?sh' | xargs -0 -r shellcheck --severity=warning
}
check_gcc-warnings() { ! grep -n 'warning:' "$logs/build-release.log"; }
check_clang-warnings() { [ -e "$logs/clang-built" ] || { cat "$logs/build-clang.log"; false; }; }

why_static() {
    case $1 in
    layers) echo "rooms include downwards only, or the architecture is gone" ;;
    headers) echo "every header stands alone" ;;
    size) echo "files and functions stay readable" ;;
    footprint) echo "one call of libc can double a static program" ;;
    cases) echo "each hard case of changing containerd's configuration has a test, or a reason" ;;
    defects) echo "each defect of the prototype, pitfall of other shims and class of attack has its test" ;;
    links) echo "a page that is not there, or has no such heading" ;;
    blocks) echo "commands in a page that no test runs are wrong one day" ;;
    diagrams) echo "a picture that is not of its text tells of yesterday" ;;
    format) echo "one format, decided by clang-format" ;;
    tidy) echo "defects that a compiler does not see" ;;
    shell) echo "the scripts are what users run first" ;;
    gcc-warnings) echo "the release build has no warning" ;;
    clang-warnings) echo "the other compiler has no warning either" ;;
    esac
}

# --- --list -----------------------------------------------------------------------------------

list_tests() {
    local check name
    if wants unit; then
        for check in $static_checks; do
            matches "static.$check" && echo "unit submission static.$check: $(why_static "$check")"
        done
        # the Criterion tests as the sources name them: no build is needed to list them
        grep -rhoE '^Test\([a-z0-9_]+, *[a-z0-9_]+' tests/unit --include='*.c' |
            sed -E 's/^Test\(([a-z0-9_]+), */\1./' | sort | while read -r name; do
            matches "$name" && echo "unit submission $name: a rule of its room, checked in milliseconds"
        done
    fi
    run_pytest --list-tests || [ $? = 5 ] # 5: none was run
}

# --- results ----------------------------------------------------------------------------------

# A line per test: tier, outcome, name, reason; separated by tabs.
results=
record() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$results"; }
# A test that fails is run once more, by itself. If it passes then, it counts as passed, and the end
# of the run names it: something in it, or in the product, depends on what else the machine does.
unstable_list=()
unstable() { unstable_list+=("$1"); }
# more failures than this are no coincidence
most_again=6
count() { awk -F '\t' -v tier="$1" -v outcome="$2" '($1 == tier || tier == "") && $2 == outcome' "$results" | wc -l; }

# --- tier unit --------------------------------------------------------------------------------

run_static() {
    local check log
    for check in $static_checks; do
        matches "static.$check" || continue
        log=$logs/static-$check.log
        if "check_$check" >"$log" 2>&1; then
            record unit passed "static.$check"
            [ "$check" != footprint ] || cat "$log"
        else
            record unit failed "static.$check"
            echo "FAILED static.$check"
            tail -n 40 "$log"
        fi
    done
}

# run_ctest PRESET DIR: every Criterion test counts on its own. Criterion names only those that
# failed; the rest are taken from its closing line.
run_ctest() {
    local preset=$1 dir=$2 log=$logs/ctest-$1.log status=0 passed failed again
    ctest --test-dir "$dir" --parallel 2 --verbose --no-tests=error ${filter:+--tests-regex "$filter"} \
        >"$log" 2>&1 || status=$?
    if [ -n "$filter" ] && grep -q 'No tests were found' "$log"; then
        return 0
    fi
    passed=$(sed -E -n 's/.*Synthesis: Tested: .*Passing: ([0-9]+) .*/\1/p' "$log" | paste -sd+ | bc)
    failed=$(sed -E -n 's/.*Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\1+\2/p' "$log" | paste -sd+ | bc)
    # a program that dies before its closing line is one failure at least
    [ "$status" = 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
    if [ "$status" != 0 ]; then
        echo "FAILED unit tests ($preset), see $log"
        grep -E '\[FAIL\]|\[----\]|ERROR: |runtime error|Failed|Timeout' "$log" | head -n 60
        again=$logs/ctest-$preset-again.log
        if ctest --test-dir "$dir" --rerun-failed --verbose --no-tests=error >"$again" 2>&1; then
            unstable "unit $preset: $failed failed and passed when run again, see $log"
            passed=$((${passed:-0} + failed)) failed=0
        fi
    fi
    awk -v n="${passed:-0}" -v p="$preset" 'BEGIN { for (i = 1; i <= n; i++) print "unit\tpassed\t" p "." i "\t" }' >>"$results"
    awk -v n="${failed:-0}" -v p="$preset" 'BEGIN { for (i = 1; i <= n; i++) print "unit\tfailed\t" p "." i "\t" }' >>"$results"
}

run_unit() {
    run_static
    run_ctest release build
    run_ctest asan build-asan
}

# --- the tiers in Python ----------------------------------------------------------------------

run_pytest() {
    local folders=() tier
    for tier in component containerd merge node kube vm conformance; do
        if wants "$tier" && [ -d "tests/$tier" ]; then folders+=("tests/$tier"); fi
    done
    [ "${#folders[@]}" -gt 0 ] || return 0
    # the scripts find its Ansible there
    PATH="$python_bin:$PATH" PYTHONDONTWRITEBYTECODE=1 "$python_bin/python" -m pytest -c tests/pytest.ini --rootdir tests \
        --set "$set_name" --name-filter "$filter" "$@" "${folders[@]}"
}

# again TIER: runs the tests of TIER that failed once more; what passes now is taken as passed.
again() {
    local tier=$1 names=$logs/again-$1.names second=$logs/again-$1.tsv kept=$logs/again-$1.kept name
    awk -F '\t' -v t="$tier" '$1 == t && $2 == "failed" { print $3 }' "$results" >"$names"
    [ -s "$names" ] && [ "$(wc -l <"$names")" -le "$most_again" ] || return 1
    echo "== $tier: what failed, once more"
    : >"$second"
    (tiers=$tier run_pytest --again --only "$names" --results "$second") || true
    while read -r name; do
        awk -F '\t' -v n="$name" '$3 == n && $2 == "passed" { ok = 1 } END { exit !ok }' "$second" || continue
        unstable "$tier $name: $(awk -F '\t' -v n="$name" '$3 == n && $2 == "failed" { print $4 }' "$results")"
        awk -F '\t' -v OFS='\t' -v t="$tier" -v n="$name" \
            '$1 == t && $3 == n { $2 = "passed" } { print }' "$results" >"$kept"
        cp "$kept" "$results"
    done <"$names"
    [ "$(count "$tier" failed)" = 0 ]
}

run_python_tier() {
    local tier=$1 status=0 divided=()
    # Tests of components look at a whole machine and need nobody else on it: they are divided between two that are
    # none, each with namespaces and cgroups of its own.
    [ "$tier" != component ] ||
        divided=(--dist worksteal --tx "2*popen//python=$(printf '%q --tmp %q' "$root/tests/support/namespaces" "$python_bin/python")")
    # the rest of the tiers are out of sight, so that run_pytest takes this one's folder
    (tiers=$tier run_pytest --results "$results" "${divided[@]}") || status=$?
    [ "$status" != 1 ] || ! again "$tier" || status=0
    case $status in
    0 | 5) ;; # 5: no test was chosen
    *) [ "$(count "$tier" failed)" -gt 0 ] || record "$tier" failed "pytest ended with $status" ;;
    esac
}

# --- set-up -----------------------------------------------------------------------------------

build_packages="gcc clang cmake ninja-build pkg-config libc6-dev protobuf-compiler protobuf-c-compiler
    libprotobuf-c-dev libprotobuf-dev libjson-c-dev libseccomp-dev libcriterion-dev
    git bc shellcheck"
package_packages="debhelper dpkg-dev lintian fakeroot build-essential rpm rpmlint cpio
    apt-utils createrepo-c gpg gpg-agent xz-utils"
node_packages="containerd runc containernetworking-plugins mmdebstrap iproute2 iptables procps util-linux"
conformance_packages="busybox-static containerd containernetworking-plugins iproute2 iptables lsof netcat-traditional
    openssl procps runc"
component_packages="busybox-static e2fsprogs xfsprogs btrfs-progs valgrind"
kube_packages="busybox-static curl"
vm_packages="qemu-system-x86 e2fsprogs openssh-client"

# build PRESET DIR: warnings are errors in the presets
build() {
    local preset=$1 dir=$2
    say "building $preset"
    {
        cmake --preset "$preset" &&
            cmake --build "$dir" -- -j2
    } >"$logs/build-$preset.log" 2>&1 || {
        tail -n 60 "$logs/build-$preset.log" >&2
        die "the $preset build failed, see $logs/build-$preset.log"
    }
}

needs_nodes() { wants containerd || wants merge || wants node || wants kube; }

# twice COMMAND…: for steps that ask a package registry, which may not answer once.
twice() {
    "$@" || {
        say "$1 failed, once more"
        "$@"
    }
}

# What takes long and is not needed at once runs beside the first tiers.
background=
start_background() {
    # a process group of its own, so that all of it can be ended
    set -m
    (
        if wants containerd || wants merge || wants node; then
            for suite in bookworm trixie forky; do twice ci/node-image.sh "$suite"; done
            ! wants node || twice ci/rpm-node-image.sh
        fi
        if wants vm; then twice ci/vm-image.sh; fi
    ) >"$logs/images.log" 2>&1 </dev/null &
    background=$!
    set +m
}
finish_background() {
    [ -n "$background" ] || return 0
    local pid=$background
    background=
    wait "$pid" || {
        tail -n 40 "$logs/images.log" >&2
        die "the node or vm images could not be made, see $logs/images.log"
    }
}

# containerd and its suites. The tests build what is missing then, and say why it cannot be built.
builds=
start_builds() {
    wants conformance || return 0
    set -m
    (
        [ "$set_name" != submission ] || exec ci/containerd/build.sh 2.4 client.test
        for version in $(ci/containerd/build.sh --list); do
            ci/containerd/build.sh "$version" cri.test
            [ "$version" = 1.7 ] || ci/containerd/build.sh "$version" client.test
        done
    ) >"$logs/containerd-builds.log" 2>&1 </dev/null &
    builds=$!
    set +m
}
finish_builds() {
    [ -n "$builds" ] || return 0
    wait "$builds" || say "warning: containerd could not be built, see $logs/containerd-builds.log"
    builds=
}

# Kubernetes and the node image of the tier kube.
cluster_parts=
start_cluster_parts() {
    wants kube || return 0
    # without Go it cannot be built, and that is said at once
    if [ -n "$(ci/kube/build.sh --missing)" ] && ! command -v go >/dev/null && [ ! -x /usr/local/go/bin/go ]; then
        die "the tier kube builds Kubernetes from its Go modules: install Go 1.24 or later to /usr/local/go"
    fi
    set -m
    (
        if [ -n "${REAPER_KUBE_NODE_IMAGE:-}" ]; then
            twice ci/kube/build.sh kind kubectl
        else
            twice ci/kube/build.sh
            twice ci/kube/node-image.sh
        fi
    ) >"$logs/kube-builds.log" 2>&1 </dev/null &
    cluster_parts=$!
    set +m
}
finish_cluster_parts() {
    [ -n "$cluster_parts" ] || return 0
    local pid=$cluster_parts
    cluster_parts=
    wait "$pid" || {
        tail -n 40 "$logs/kube-builds.log" >&2
        die "Kubernetes or the node image could not be built, see $logs/kube-builds.log"
    }
}

set_up() {
    local packages=$build_packages
    needs_nodes && packages="$packages $node_packages"
    wants node || wants vm || wants kube && packages="$packages $package_packages"
    wants component && packages="$packages $component_packages"
    wants vm && packages="$packages $vm_packages"
    wants kube && packages="$packages $kube_packages"
    wants conformance && packages="$packages $conformance_packages"
    # apt_install ends the shell that it fails in
    # shellcheck disable=SC2086 # words
    twice eval '(apt_install $packages)'
    python_bin=$(twice ci/python-env.sh)
    ! needs_nodes || twice ci/engine.sh
    start_background
    start_cluster_parts
    start_builds
    build release build
    if wants unit; then
        build asan build-asan
        # what the other compiler and clang-tidy say is a test; that they take their time is set-up
        say "building clang"
        if cmake --preset clang >"$logs/build-clang.log" 2>&1 &&
            cmake --build build-clang -- -j2 >>"$logs/build-clang.log" 2>&1; then
            touch "$logs/clang-built"
        fi
        if matches static.tidy; then
            say "running clang-tidy"
            ! ci/check-tidy build "$python_bin/clang-tidy" >"$logs/tidy.log" 2>&1 || touch "$logs/tidy-clean"
        fi
    fi
    if { wants node || wants vm || wants kube; } && [ -x ci/build-packages.sh ]; then
        say "building the packages"
        ci/build-packages.sh all >"$logs/packages.log" 2>&1 || {
            tail -n 40 "$logs/packages.log" >&2
            die "the packages could not be built, see $logs/packages.log"
        }
    fi
}

clean_up() {
    local status=$?
    trap - EXIT
    local job
    for job in $background $builds $cluster_parts; do
        kill -- "-$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    done
    exit "$status"
}

# --- the run ----------------------------------------------------------------------------------

if [ "$list" = 1 ]; then
    python_bin=$(ci/python-env.sh)
    list_tests
    exit 0
fi

need_root
logs=$REAPER_CI_STATE/logs/$(date -u +%Y%m%dT%H%M%SZ)-$$
mkdir -p "$logs"
results=$logs/results.tsv
: >"$results"
export REAPER_TEST_LOGS=$logs REAPER_BINARIES=${REAPER_BINARIES:-$root/build}
trap clean_up EXIT
trap 'exit 130' INT TERM

times=()
# timed NAME COMMAND…
timed() {
    local name=$1 start=$SECONDS
    shift
    "$@"
    times+=("$name $((SECONDS - start))")
}

timed set-up set_up
for tier in $tiers; do
    echo "== $tier"
    case $tier in
    unit) timed unit run_unit ;;
    component) timed component run_python_tier component ;;
    kube)
        timed "set-up" finish_background
        timed "set-up" finish_cluster_parts
        timed kube run_python_tier kube
        ;;
    conformance)
        timed "set-up" finish_builds
        timed conformance run_python_tier conformance
        ;;
    *)
        timed "set-up" finish_background
        timed "$tier" run_python_tier "$tier"
        ;;
    esac
    echo "== $tier: $(count "$tier" passed) passed, $(count "$tier" failed) failed, $(count "$tier" skipped) skipped"
    [ -n "$(awk -F '\t' -v t="$tier" '$1 == t' "$results")" ] || echo "== $tier: 0 tests"
done

# A skip that nobody wrote down is a test that silently stopped testing.
while IFS=$'\t' read -r tier _ name reason; do
    grep -v '^#' tests/allowed-skips.txt | grep -qxF "$name: $reason" && continue
    echo "FAILED $name: skipped without leave: $reason"
    record "$tier" failed "skip.$name" "not in tests/allowed-skips.txt"
done < <(awk -F '\t' '$2 == "skipped"' "$results")

echo
for line in "${unstable_list[@]}"; do echo "UNSTABLE $line"; done
awk -F '\t' '$2 == "failed" { print "FAILED " $1 " " $3 ($4 == "" ? "" : ": " $4) }' "$results"
printf '%-12s %8s %8s\n' tier seconds budget
total=0
for name in set-up $tiers; do
    spent=0
    for entry in "${times[@]}"; do
        [ "${entry% *}" = "$name" ] && spent=$((spent + ${entry##* }))
    done
    total=$((total + spent))
    over=
    [ "$spent" -le "${budget[$name]}" ] || over=" over budget"
    printf '%-12s %8d %8d%s\n' "$name" "$spent" "${budget[$name]}" "$over"
done
over=
[ "$total" -le "$total_budget" ] || over=" over budget"
printf '%-12s %8d %8d%s\n' all "$total" "$total_budget" "$over"
echo "logs: $logs"
passed=$(count "" passed) failed=$(count "" failed) skipped=$(count "" skipped)
if [ "$passed" = 0 ] && [ "$failed" = 0 ] && [ -z "$filter" ]; then
    echo "FAILED: no test was run"
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
