#!/bin/bash
# Installs Reaper on the nodes of a cluster, and everything that comes after: verify, upgrade, roll back.
#
#   scripts/install-reaper.sh --kind NAME [OPTIONS] [-- ANSIBLE ARGUMENTS]
#   scripts/install-reaper.sh --inventory FILE [OPTIONS] [-- ANSIBLE ARGUMENTS]
#
# Which nodes:
#   --kind NAME        the nodes of the kind cluster NAME on this machine
#   --inventory FILE   the hosts of the group k8s_nodes (ansible/inventory.ini.example, ansible/inventories/)
#   --limit PATTERN    only those of them that match the pattern of Ansible
#
# What to do with them (default: install):
#   --verify           go through the checks of every node (docs/CHECKS.md); changes nothing
#   --upgrade          bring another version onto the nodes that have one
#   --rollback         back to the version before; to before Reaper where there is none
#   --uninstall        take Reaper off; each config.toml gets its old bytes back
#   --dry-run          say what would change on each node, with the difference; changes none
#
# How:
#   --serial LIST      nodes at a time, one number a batch, the last counts for the rest (default: 1,5,10%)
#   --parallel N       one batch of all nodes, N at the same time: no canary
#   --drain            cordon and drain each node before it is worked on
#   --no-drain         do not (the default: pods outlive all of it)
#   --package PATH     a .deb, an .rpm, a directory of them, or the air-gap tar; default: what dist/ has,
#                      else it is built in a container
#   --version VERSION  this version and no other
#   --context NAME     kubectl's context of the cluster (default: kind-NAME; else the current one if its
#                      nodes are these)
#   --ask-become-pass  ask for the password of sudo on the nodes
#   --diff             show each difference, not only in a dry run
#   --report DIR       where the report goes (default: ~/.local/state/reaper/reports)
#   --yes              do not ask before nodes lose Reaper or are drained (asked on a terminal only)
#   -v, -vv, -vvv      say more
#   -h, --help         this text
#
# Behind it are the playbooks ansible/*-reaper.yml; what follows -- goes to ansible-playbook. An Ansible
# on PATH is used (ansible-core 2.14 or later, with the connection to the container engine for --kind),
# else a pinned one is put into ~/.cache/reaper. At the end there is a table of the nodes, and the report
# as JSON and as one HTML file. The exit status is ansible-playbook's; 2 is a wrong command line.

# bash 3.2 runs this too, for it is what a Mac has: no mapfile, no associative arrays, no "${empty[@]}".
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }
say() { printf '%s\n' "install-reaper: $*" >&2; }
die() {
    say "error: $*"
    exit 1
}
wrong() {
    say "error: $* (see --help)"
    exit 2
}

# --- the command line ---------------------------------------------------------------------------

kind=
inventory=
limit=
play=
dry_run=0
serial=
parallel=
drain=
package=
version=
context=
become_pass=0
diff=0
report_dir=
yes=0
verbose=

# one_of OLD NEW: NEW, which must be the first of its group
one_of() {
    if [ -n "$1" ] && [ "$1" != "$2" ]; then wrong "--$1 and --$2 exclude each other"; fi
    printf '%s' "$2"
}

while [ $# -gt 0 ]; do
    case $1 in
    --*=*)
        option=${1%%=*}
        value=${1#*=}
        shift
        set -- "$option" "$value" "$@"
        case $option in
        --kind | --inventory | --limit | --serial | --parallel | --package | --version | --context | --report) ;;
        *) wrong "$option takes no value" ;;
        esac
        ;;
    esac
    case $1 in
    --kind | --inventory | --limit | --serial | --parallel | --package | --version | --context | --report)
        case ${2:-} in '' | -*) wrong "$1 needs a value" ;; esac
        case $1 in
        --kind) kind=$2 ;;
        --inventory) inventory=$2 ;;
        --limit) limit=$2 ;;
        --serial) serial=$2 ;;
        --parallel) parallel=$2 ;;
        --package) package=$2 ;;
        --version) version=$2 ;;
        --context) context=$2 ;;
        --report) report_dir=$2 ;;
        esac
        shift
        ;;
    --verify | --upgrade | --rollback | --uninstall) play=$(one_of "$play" "${1#--}") || exit ;;
    --drain | --no-drain) drain=$(one_of "$drain" "${1#--}") || exit ;;
    --dry-run) dry_run=1 ;;
    --ask-become-pass) become_pass=1 ;;
    --diff) diff=1 ;;
    --yes) yes=1 ;;
    -v | -vv | -vvv | -vvvv) verbose=$1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *) wrong "unknown argument: $1" ;;
    esac
    shift
done
play=${play:-install}

if [ -n "$kind" ] && [ -n "$inventory" ]; then wrong "--kind and --inventory exclude each other"; fi
if [ -z "$kind$inventory" ]; then wrong "which nodes? (--kind NAME or --inventory FILE)"; fi
if [ -n "$serial" ] && [ -n "$parallel" ]; then wrong "--serial and --parallel exclude each other"; fi
for given in package version; do
    if [ -z "${!given}" ]; then continue; fi
    case $play in
    install | upgrade) ;;
    *) wrong "--$given does not go with --$play" ;;
    esac
done
if [ "$play" = verify ] && [ -n "$drain" ]; then wrong "--$drain does not go with --verify"; fi
case $parallel in
*[!0-9]* | 0*) wrong "--parallel takes a number of nodes, not \"$parallel\"" ;;
esac
old_ifs=$IFS
IFS=,
for step in $serial; do
    case ${step%\%} in
    '' | *[!0-9]* | 0*) wrong "--serial takes numbers and percentages, as in 1,5,10%, not \"$step\"" ;;
    esac
done
IFS=$old_ifs
if [ -n "$package" ]; then
    [ -e "$package" ] || die "there is no package $package"
    case $package in
    *.deb | *.rpm | *.tar | *.tar.gz | *.tgz | *.tar.xz | *.tar.zst) ;;
    *) [ -d "$package" ] || die "$package is no package (a .deb, an .rpm, a directory of them, or the air-gap tar)" ;;
    esac
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/install-reaper.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- the nodes of a kind cluster ----------------------------------------------------------------

# The engine that kind uses: what KIND_EXPERIMENTAL_PROVIDER says, else the first one there is.
find_engine() {
    engine=${KIND_EXPERIMENTAL_PROVIDER:-}
    case $engine in
    '') if ! command -v docker >/dev/null && command -v podman >/dev/null; then engine=podman; else engine=docker; fi ;;
    docker | podman) ;;
    *) die "KIND_EXPERIMENTAL_PROVIDER is $engine, and Ansible reaches nodes through docker or podman" ;;
    esac
    command -v "$engine" >/dev/null || die "there is no $engine on PATH, and --kind asks it for the nodes"
    "$engine" info >/dev/null 2>"$work/engine" || die "$engine does not answer: $(head -n 1 "$work/engine")"
}

# kind_nodes ROLE: name and state of the cluster's containers of this role, one a line. An engine
# compares the value of a label as a whole, so "dev" does not find the nodes of "my-dev".
kind_nodes() {
    "$engine" ps --all --filter "label=io.x-k8s.kind.cluster=$kind" \
        --filter "label=io.x-k8s.kind.role=$1" --format '{{.Names}} {{.State}}' | sort
}

write_kind_inventory() {
    local workers planes stopped clusters connection=community.docker.docker
    find_engine
    [ "$engine" = docker ] || connection=containers.podman.podman
    # the load balancer of a cluster with several control planes has a role of its own
    workers=$(kind_nodes worker)
    planes=$(kind_nodes control-plane)
    if [ -z "$workers$planes" ]; then
        clusters=$("$engine" ps --all --filter label=io.x-k8s.kind.cluster \
            --format '{{.Label "io.x-k8s.kind.cluster"}}' | sort -u | paste -sd ' ' -)
        die "there is no kind cluster \"$kind\" here (clusters: ${clusters:-none})"
    fi
    stopped=$(printf '%s\n%s\n' "$workers" "$planes" |
        awk 'NF && $2 != "running" { printf "%s%s (%s)", sep, $1, $2; sep = ", " }')
    [ -z "$stopped" ] || die "these nodes of $kind do not run: $stopped (next: $engine start NODE)"
    inventory=$work/inventory.ini
    {
        # an empty group is better than none: the plays name both
        echo "[k8s_workers]"
        printf '%s\n' "$workers" | cut -d ' ' -f 1
        echo "[k8s_control_plane]"
        printf '%s\n' "$planes" | cut -d ' ' -f 1
        echo "[k8s_nodes:children]"
        echo "k8s_workers"
        echo "k8s_control_plane"
        echo "[k8s_nodes:vars]"
        echo "ansible_connection=$connection"
        echo "ansible_user=root"
    } >"$inventory"
}

# --- Ansible ------------------------------------------------------------------------------------

usable_ansible() {
    local version
    command -v ansible-playbook >/dev/null && command -v ansible >/dev/null || return 1
    version=$(ansible-playbook --version 2>/dev/null | sed -n '1s/.*\[core \([0-9]*\.[0-9]*\).*/\1/p')
    case $version in
    2.*) [ "${version#2.}" -ge 14 ] || return 1 ;;
    [3-9].*) ;;
    *) return 1 ;;
    esac
    # ansible-core alone has no connection to a container engine
    [ -z "$kind" ] || ansible-doc -t connection community.docker.docker >/dev/null 2>&1
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# Makes the environment unless it is whole; two runs at the same time make it once.
make_environment='
import fcntl, os, shutil, subprocess, sys
target, requirements, wheels = sys.argv[1:]
source = ["--no-index", "--find-links", wheels] if os.path.isdir(wheels) else []
os.makedirs(os.path.dirname(target), exist_ok=True)
with open(target + ".lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.path.exists(target + "/complete"):
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", target], check=True, stdout=sys.stderr)
        subprocess.run(
            [target + "/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
             "--no-compile", "--require-hashes", "--only-binary", ":all:", *source, "-r", requirements],
            check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        open(target + "/complete", "w").close()
'

find_ansible() {
    local python has target why
    if usable_ansible; then return 0; fi
    python=
    for has in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$has" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
            python=$has
            break
        fi
    done
    [ -n "$python" ] || die "there is no ansible-core 2.14 or later on PATH, and no Python 3.9 to make one with; install the package ansible"
    has=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    target=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/reaper/ansible-$has-$(sha256 "$top/ansible/requirements.txt" | cut -c1-12)
    if [ ! -e "$target/complete" ]; then
        say "there is no Ansible that can be used: putting a pinned one into $target (about a minute)"
        # the air-gap tar brings them along; nothing else is asked then
        "$python" -c "$make_environment" "$target" "$top/ansible/requirements.txt" "$top/wheels" 2>"$work/pip" || {
            why=$(grep -v '^Traceback\|^  ' "$work/pip" | tail -n 1)
            die "there is no Ansible, and none could be made; install the package ansible (${why:-python3 -m venv failed})"
        }
    fi
    PATH=$target/bin:$PATH
}

# The site's own ansible.cfg wins.
choose_settings() {
    if [ -z "${ANSIBLE_CONFIG:-}" ] && [ ! -e ansible.cfg ] && [ ! -e "${HOME:-/root}/.ansible.cfg" ] &&
        [ ! -e /etc/ansible/ansible.cfg ]; then
        export ANSIBLE_CONFIG=$top/ansible/ansible.cfg
        export ANSIBLE_FORKS=${ANSIBLE_FORKS:-20}
    fi
}

# hosts_of PATTERN: the hosts of the inventory that match it, one a line.
hosts_of() {
    ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=True ansible --inventory "$inventory" "$@" --list-hosts \
        2>"$work/inventory" </dev/null >"$work/listed" || return
    sed -n -e 's/^    *//p' "$work/listed" | sed '/^hosts ([0-9]*):$/d'
}

# Why the inventory cannot be read, as one line: what the reader says that such a file is for.
inventory_reason() {
    local reader=ini line
    case $inventory in
    *.yml | *.yaml) reader=yaml ;;
    *)
        if [ -f "$inventory" ] && [ -x "$inventory" ]; then
            reader=script
        elif [ -f "$inventory" ]; then
            line=$(grep -n '^\[[^]]*$' "$inventory" | head -n 1)
            if [ -n "$line" ]; then
                printf 'line %s: "%s" has no ]' "${line%%:*}" "${line#*:}"
                return
            fi
        fi
        ;;
    esac
    grep -q "with $reader plugin:" "$work/inventory" || reader='[a-z]*'
    tr -s '\n ' '  ' <"$work/inventory" | sed -e "s/.*with $reader plugin: //" -e 's/ *\[WARNING\].*//' \
        -e 's/ *\[*ERROR[]!:].*//' -e 's/.*Syntax Error while loading YAML\. *//' -e 's/, but may be elsewhere.*//' -e 's/ *$//'
}

check_inventory() {
    local groups
    [ -r "$inventory" ] || die "the inventory $inventory may not be read by $(id -un)"
    hosts_of all >"$work/all" || die "the inventory $inventory cannot be read: $(inventory_reason)"
    hosts_of k8s_nodes >"$work/hosts" || true
    if [ ! -s "$work/hosts" ]; then
        groups=$(ansible-inventory --inventory "$inventory" --graph 2>/dev/null |
            sed -n 's/^ *|--@\(.*\):$/\1/p' | grep -vx ungrouped | sort -u | paste -sd ' ' -) || true
        die "the inventory $inventory has no host in the group k8s_nodes (groups: ${groups:-none})"
    fi
    if [ -n "$limit" ]; then
        hosts_of k8s_nodes --limit "$limit" >"$work/limited" || true
        [ -s "$work/limited" ] ||
            die "--limit $limit matches no host of k8s_nodes ($(head -n 8 "$work/hosts" | paste -sd ' ' -))"
        mv "$work/limited" "$work/hosts"
    fi
    count=$(grep -c . "$work/hosts")
}

# --- the cluster --------------------------------------------------------------------------------

kube() { kubectl --context "$context" --request-timeout=10s "$@"; }

# Whether a name or an address of one of the cluster's nodes stands in the inventory.
is_our_cluster() {
    local name
    ansible-inventory --inventory "$inventory" --list 2>/dev/null >"$work/inventory.json" || return
    # shellcheck disable=SC2013
    for name in $(cat "$work/nodes"); do
        if grep -qF "\"$name\"" "$work/inventory.json"; then return 0; fi
    done
    return 1
}

# Leaves the context empty where kubectl does not reach the cluster of these nodes.
find_context() {
    local given=$context why=
    if ! command -v kubectl >/dev/null; then
        [ -z "$given" ] || die "there is no kubectl on PATH, and --context needs it"
        return 0
    fi
    if [ -z "$context" ] && [ -n "$kind" ]; then
        context=kind-$kind
    elif [ -z "$context" ]; then
        context=$(kubectl config current-context 2>/dev/null) || return 0
    fi
    if ! kubectl config get-contexts "$context" >/dev/null 2>&1; then
        why="kubectl has no context $context (there are: $(kubectl config get-contexts -o name 2>/dev/null | paste -sd ' ' -))"
    elif ! kube get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.addresses[*].address}{"\n"}{end}' \
        >"$work/nodes" 2>"$work/kubectl"; then
        why="kubectl does not reach the cluster of the context $context: $(tail -n 1 "$work/kubectl")"
    elif ! is_our_cluster; then
        why="the context $context is of another cluster: none of its nodes ($(cut -d ' ' -f 1 "$work/nodes" |
            head -n 4 | paste -sd ' ' -)) is in the inventory"
    fi
    [ -n "$why" ] || return 0
    [ -z "$given" ] || die "$why"
    [ -n "$kind" ] || say "$why; nothing is done in a cluster (--context NAME names it)"
    context=
}

# The last line: what a pod of the class has to be.
say_policy() {
    local policy
    if [ -z "$context" ]; then
        [ "$play" != install ] || say "done; next, with kubectl for this cluster: kubectl apply -f kubernetes/runtimeclass.yaml"
        return 0
    fi
    policy=$(kube get runtimeclass reaper-v2 --ignore-not-found \
        -o 'jsonpath={.metadata.name} {.metadata.labels.reaper\.runtime/policy}' 2>/dev/null) || return 0
    case $policy in
    'reaper-v2 restricted') say "RuntimeClass reaper-v2 is there, restricted: allowed namespaces, pods without root or host namespaces" ;;
    'reaper-v2 production') say "RuntimeClass reaper-v2 is there, production: allowed namespaces, whose pods may be root" ;;
    'reaper-v2 '*) say "RuntimeClass reaper-v2 is there, open: whoever may make a pod may be root on a node (kubernetes/README.md)" ;;
    *) say "RuntimeClass reaper-v2 is not there; next: kubectl --context $context apply -f kubernetes/runtimeclass.yaml" ;;
    esac
}

# --- the package --------------------------------------------------------------------------------

# newest FILE…: the one that was written last, of those that are there.
newest() {
    local file found=
    for file in "$@"; do
        if [ -f "$file" ] && { [ -z "$found" ] || [ "$file" -nt "$found" ]; }; then found=$file; fi
    done
    printf '%s' "$found"
}

absolute() { printf '%s/%s' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

# The architecture of the nodes as Debian names it, where the engine that runs them is here.
node_architecture() {
    local architecture
    if [ "$engine" = podman ]; then
        architecture=$(podman info --format '{{.Host.Arch}}')
    else
        architecture=$(docker version --format '{{.Server.Arch}}')
    fi
    printf '%s' "$architecture"
}

# The newest of each architecture and kind in dist/, linked into a directory of their own.
from_dist() {
    local pattern found
    rm -rf "$work/packages"
    mkdir "$work/packages"
    for pattern in amd64.deb arm64.deb x86_64.rpm aarch64.rpm; do
        # nodes of kind are Debians of the engine's architecture
        if [ -n "${1:-}" ] && [ "$pattern" != "$1.deb" ]; then continue; fi
        case $pattern in
        *.deb) found=$(newest "$top"/dist/reaper_"$version"*_"$pattern") ;;
        *) found=$(newest "$top"/dist/reaper-"$version"*."$pattern") ;;
        esac
        if [ -n "$found" ]; then
            package=$found
            ln -s "$found" "$work/packages/"
        fi
    done
    # the list of checksums goes with a directory
    if [ "$(find "$work/packages" -type l | grep -c .)" -gt 1 ]; then
        package=$work/packages
        [ ! -e "$top/dist/SHA256SUMS" ] || ln -s "$top/dist/SHA256SUMS" "$work/packages/"
    fi
}

# build_in_container ARCHITECTURE: by the engine that is here, or says why not and returns 1. The files go
# in and out through the engine, for it may be another machine's.
build_in_container() {
    local image=${REAPER_BUILD_IMAGE:-debian:bookworm} box status=0
    if ! "$engine" image inspect "$image" >/dev/null 2>&1 &&
        ! "$engine" pull --quiet --platform "linux/$1" "$image" >/dev/null 2>"$work/pull"; then
        why="$engine has no image $image: $(tail -n 1 "$work/pull")"
        return 1
    fi
    say "there is no package in dist/: building one for $1 in a container of $image (some minutes)"
    # git, for the version is that of the sources
    # shellcheck disable=SC2016
    box=$("$engine" create --platform "linux/$1" --entrypoint /bin/sh --workdir /src "$image" -c '
        [ ! -d .git ] || command -v git >/dev/null || {
            apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends git
        } || exit
        ci/build-packages.sh deb >/dev/null && cp dist/reaper_*.deb /built/') || return 1
    trap '"$engine" rm --force --volumes "$box" >/dev/null 2>&1; rm -rf "$work"' EXIT
    mkdir "$work/source" "$work/source/built"
    (cd "$top" && tar -cf - --exclude=./build --exclude='./build-*' --exclude=./dist .) >"$work/source.tar"
    mkdir "$work/source/src" && tar -xf "$work/source.tar" -C "$work/source/src"
    "$engine" cp "$work/source/." "$box:/" >/dev/null && "$engine" start --attach "$box" >"$work/build.log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        mkdir -p "$top/dist"
        "$engine" cp "$box:/built/." "$work/built" >/dev/null && cp "$work"/built/reaper_*.deb "$top/dist/" || status=$?
    fi
    "$engine" rm --force --volumes "$box" >/dev/null 2>&1 || true
    trap 'rm -rf "$work"' EXIT
    if [ "$status" = 0 ]; then return 0; fi
    tail -n 15 "$work/build.log" >&2
    why="the build in a container failed"
    return 1
}

# build_here ARCHITECTURE: on a Debian of the nodes' architecture, by root.
build_here() {
    [ "$(id -u)" = 0 ] && [ "$(dpkg --print-architecture 2>/dev/null)" = "$1" ] || return 1
    say "there is no package in dist/: building one here (some minutes)"
    "$top/ci/build-packages.sh" deb >"$work/built" 2>"$work/build.log" || {
        tail -n 15 "$work/build.log" >&2
        return 1
    }
}

find_package() {
    local architecture='' why='' file
    if [ -n "$kind" ]; then architecture=$(node_architecture); fi
    if [ -z "$package" ]; then from_dist "$architecture"; fi
    if [ -z "$package" ] && [ -z "$version" ]; then
        if [ -z "$kind" ]; then
            architecture=$(dpkg --print-architecture 2>/dev/null) || architecture=amd64
            engine=docker
            docker info >/dev/null 2>&1 || engine=
        fi
        if { [ -n "$engine" ] && build_in_container "$architecture"; } || build_here "$architecture"; then
            from_dist "$architecture"
        fi
    fi
    if [ -z "$package" ]; then
        [ -z "$version" ] || why="dist/ has none of version $version"
        die "no package: give one with --package, or make one with ci/build-packages.sh on a Debian 12 or later${why:+ ($why)}"
    fi
    package=$(absolute "$package")
    package_said=
    if [ -d "$package" ]; then
        for file in "$package"/*.deb "$package"/*.rpm; do
            [ -f "$file" ] || continue
            package_said="$package_said$(basename "$file") sha256 $(sha256 "$file"); "
            say "package $file"
            say "sha256  $(sha256 "$file")"
        done
        [ -n "$package_said" ] || die "the directory $package has neither a .deb nor an .rpm"
        package_said=${package_said%; }
    else
        package_said="$(basename "$package") sha256 $(sha256 "$package")"
        say "package $package"
        say "sha256  $(sha256 "$package")"
    fi
}

# --- run ----------------------------------------------------------------------------------------

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# [1,5,"10%"] of 1,5,10%
json_serial() { printf '[%s]' "$(printf '%s' "$1" | sed -e 's/[0-9]*%/"&"/g')"; }

write_variables() {
    local sep=
    add() { # NAME VALUE
        printf '%s"%s": %s' "$sep" "$1" "$2"
        sep=', '
    }
    printf '{'
    case $play in
    install | upgrade)
        add reaper_package "$(json_string "$package")"
        [ -z "$version" ] || add reaper_version "$(json_string "$version")"
        ;;
    esac
    [ -z "$serial" ] || add reaper_serial "$(json_serial "$serial")"
    [ -z "$parallel" ] || add reaper_serial '["100%"]'
    case $drain in
    drain) add reaper_drain true ;;
    no-drain) add reaper_drain false ;;
    esac
    [ -z "$context" ] || add reaper_kube_context "$(json_string "$context")"
    printf '}\n'
}

# On a terminal only: who has none, has said it with the call.
confirm() {
    local question answer nodes="$count nodes"
    [ "$count" != 1 ] || nodes="1 node"
    case $play in
    rollback) question="take $nodes back to the version before, or to before Reaper" ;;
    uninstall) question="take Reaper off $nodes" ;;
    *)
        [ "$drain" = drain ] || return 0
        question="drain $nodes, one after the other"
        ;;
    esac
    if [ "$yes$dry_run" != 00 ] || [ ! -t 0 ] || [ ! -t 2 ]; then return 0; fi
    printf 'install-reaper: %s? [y/N] ' "$question" >&2
    read -r answer || answer=
    case $answer in
    y | Y | yes) ;;
    *) die "nothing was done" ;;
    esac
}

prepare_report() {
    local stamp
    report_dir=${report_dir:-${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/reaper/reports}
    mkdir -p "$report_dir" 2>"$work/report" || die "no place for the report: $(cat "$work/report") (--report DIR)"
    report_dir=$(cd "$report_dir" && pwd)
    stamp=$(date -u +%Y%m%dT%H%M%SZ)-$play
    [ "$dry_run" = 0 ] || stamp=$stamp-dry-run
    report=$report_dir/$stamp-$$
    export REAPER_REPORT_JSON=$report.json REAPER_REPORT_HTML=$report.html
    export REAPER_REPORT_PROBLEMS=$work/problems REAPER_REPORT_PACKAGE=${package_said:-}
    if [ -n "$kind" ]; then
        export REAPER_REPORT_SUBJECT="kind cluster $kind"
    else
        export REAPER_REPORT_SUBJECT=${inventory##*/}
    fi
}

engine=
report=
count=0
if [ -n "$kind" ]; then write_kind_inventory; fi
[ -e "$inventory" ] || die "there is no inventory $inventory"
find_ansible
choose_settings
check_inventory
find_context
case $play in
install | upgrade) find_package ;;
esac
confirm
prepare_report
write_variables >"$work/vars.json"

if [ -z "$verbose" ]; then
    # what did not change is not worth a line
    export ANSIBLE_DISPLAY_OK_HOSTS=${ANSIBLE_DISPLAY_OK_HOSTS:-False}
else
    set -- "$verbose" "$@"
fi
if [ "$dry_run" = 1 ]; then set -- --check --diff "$@"; elif [ "$diff" = 1 ]; then set -- --diff "$@"; fi
if [ "$become_pass" = 1 ]; then set -- --ask-become-pass "$@"; fi
if [ -n "$limit" ]; then set -- --limit "$limit" "$@"; fi
if [ -n "$parallel" ]; then set -- --forks "$parallel" "$@"; fi

status=0
ansible-playbook --inventory "$inventory" --extra-vars "@$work/vars.json" \
    "$top/ansible/$play-reaper.yml" "$@" || status=$?
if [ -e "$report.html" ]; then say "report $report.html and .json"; fi
if [ "$status" = 0 ]; then
    say_policy
elif [ -s "$work/problems" ]; then
    while IFS="$(printf '\t')" read -r node reason; do
        say "error: $node: $reason"
    done <"$work/problems"
else
    say "error: ansible-playbook ended with $status, and above it says why"
fi
exit "$status"
