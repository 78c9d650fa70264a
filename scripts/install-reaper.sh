#!/bin/bash
# Installs Reaper on the nodes of a cluster.
#
#   scripts/install-reaper.sh --kind NAME [OPTIONS] [-- ANSIBLE ARGUMENTS]
#   scripts/install-reaper.sh --inventory FILE [OPTIONS] [-- ANSIBLE ARGUMENTS]
#
#   --kind NAME       the nodes of the kind cluster NAME on this machine
#   --inventory FILE  the hosts of the group k8s_nodes (see ansible/inventory.ini.example)
#   --dry-run         say what would change on each node, with its config.toml's diff; changes none
#   --verify          only go through the checks of every node (docs/CHECKS.md)
#   --rollback        take Reaper off the nodes; each config.toml gets its old bytes back
#   --package FILE    install this .deb; default: the one in dist/, else it is built
#   -h, --help        this text
#
# Behind it are the playbooks ansible/*-reaper.yml; what follows -- goes to ansible-playbook, for
# example -- --limit node3. ansible-core 2.14 or later on PATH is used, else a private environment
# is made (Debian 12 or later). The exit status is ansible-playbook's; 2 is a wrong command line.

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
package=
play=
dry_run=0
while [ $# -gt 0 ]; do
    case $1 in
    --kind | --inventory | --package)
        [ -n "${2:-}" ] || wrong "$1 needs a value"
        case $1 in
        --kind) kind=$2 ;;
        --inventory) inventory=$2 ;;
        --package) package=$2 ;;
        esac
        shift
        ;;
    --dry-run) dry_run=1 ;;
    --verify | --rollback)
        [ -z "$play" ] || wrong "--verify and --rollback exclude each other"
        play=${1#--}
        ;;
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
if [ -n "$package" ] && [ "$play" != install ]; then wrong "--package does not go with --$play"; fi
if [ -n "$package" ] && [ ! -f "$package" ]; then die "there is no package $package"; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/install-reaper.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- the nodes of a kind cluster ----------------------------------------------------------------

# kind_nodes ROLE: names of the cluster's containers of this role, one a line. An engine compares
# the value of a label as a whole, so "dev" does not find the nodes of "my-dev".
kind_nodes() {
    docker ps --all --filter "label=io.x-k8s.kind.cluster=$kind" \
        --filter "label=io.x-k8s.kind.role=$1" --format '{{.Names}} {{.State}}' | sort
}

write_kind_inventory() {
    local nodes stopped clusters
    command -v docker >/dev/null || die "there is no docker on PATH, and --kind asks it for the nodes"
    docker info >/dev/null 2>"$work/docker" || die "docker does not answer: $(head -n 1 "$work/docker")"
    # workers first; the load balancer of a cluster with several control planes has a role of its own
    nodes=$(kind_nodes worker && kind_nodes control-plane)
    if [ -z "$nodes" ]; then
        clusters=$(docker ps --all --filter label=io.x-k8s.kind.cluster \
            --format '{{.Label "io.x-k8s.kind.cluster"}}' | sort -u | tr '\n' ' ')
        die "there is no kind cluster \"$kind\" here (clusters: ${clusters:-none})"
    fi
    stopped=$(printf '%s\n' "$nodes" | awk '$2 != "running" { printf "%s%s (%s)", sep, $1, $2; sep = ", " }')
    [ -z "$stopped" ] || die "these nodes of $kind do not run: $stopped"
    inventory=$work/inventory.ini
    {
        echo "[k8s_nodes]"
        printf '%s\n' "$nodes" | cut -d ' ' -f 1
        echo "[k8s_nodes:vars]"
        echo "ansible_connection=docker"
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
    # ansible-core alone has no docker connection
    [ -z "$kind" ] || ansible-doc -t connection community.docker.docker >/dev/null 2>&1
}

find_ansible() {
    local bin
    if usable_ansible; then return 0; fi
    bin=$("$top/ci/python-env.sh") ||
        die "there is no ansible-core 2.14 or later on PATH and none could be made; install the package ansible"
    PATH=$bin:$PATH
}

check_inventory() {
    local hosts
    [ -e "$inventory" ] || die "there is no inventory $inventory"
    if ! hosts=$(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=True ansible \
        --inventory "$inventory" k8s_nodes --list-hosts 2>"$work/inventory"); then
        # what the reader of .ini files says is nearer to the cause than what the others say
        die "the inventory $inventory cannot be read: $(tr '\n' ' ' <"$work/inventory" |
            sed 's/.*with ini plugin: //; s/\[WARNING\].*//; s/ *ERROR!.*//; s/ *\[ERROR\].*//')"
    fi
    case $hosts in
    *"hosts (0)"* | '') die "the inventory $inventory has no host in the group k8s_nodes" ;;
    esac
}

# --- the package --------------------------------------------------------------------------------

find_package() {
    local file
    if [ -z "$package" ]; then
        for file in "$top"/dist/reaper_*.deb; do
            if [ -f "$file" ] && { [ -z "$package" ] || [ "$file" -nt "$package" ]; }; then
                package=$file
            fi
        done
    fi
    if [ -z "$package" ]; then
        say "there is no package in dist/, building one"
        package=$("$top/ci/build-packages.sh" deb) ||
            die "no package: give one with --package, or run ci/build-packages.sh deb on Debian 12 or later"
    fi
    package=$(cd "$(dirname "$package")" && pwd)/$(basename "$package")
    say "package $package"
}

# reasons LOG: for each node that failed, one line with its last error.
reasons() {
    local tab
    tab=$(printf '\t')
    sed -n -E 's/.*fatal: \[([^]]*)\].*"msg": "(([^"\\]|\\.)*)".*/\1'"$tab"'\2/p' "$1" |
        sed 's/\\"/"/g; s/\\[rn]/ /g' | awk -F "$tab" '
        { if (!($1 in last)) order[++n] = $1; last[$1] = $2; sub("^" $1 ": ", "", last[$1]) }
        END { for (i = 1; i <= n; i++) print "install-reaper: error: " order[i] ": " last[order[i]] }'
}

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# --- run ----------------------------------------------------------------------------------------

if [ -n "$kind" ]; then write_kind_inventory; fi
[ -e "$inventory" ] || die "there is no inventory $inventory"
find_ansible
check_inventory
printf '{}' >"$work/vars.json"
if [ "$play" = install ]; then
    find_package
    printf '{"reaper_package": %s}' "$(json_string "$package")" >"$work/vars.json"
fi
if [ "$dry_run" = 1 ]; then set -- --check --diff "$@"; fi

# the site's own ansible.cfg wins
if [ -z "${ANSIBLE_CONFIG:-}" ] && [ ! -e ansible.cfg ] && [ ! -e ~/.ansible.cfg ] &&
    [ ! -e /etc/ansible/ansible.cfg ]; then
    export ANSIBLE_CONFIG=$top/ansible/ansible.cfg
fi
# the log is without colours and line breaks, so the reasons can be said once more at the end
log=${ANSIBLE_LOG_PATH:-$work/ansible.log}
export ANSIBLE_LOG_PATH=$log
status=0
ansible-playbook --inventory "$inventory" --extra-vars "@$work/vars.json" \
    "$top/ansible/$play-reaper.yml" "$@" || status=$?
if [ "$status" != 0 ]; then
    say "error: ansible-playbook ended with $status"
    if [ "$log" = "$work/ansible.log" ]; then reasons "$log" >&2; fi
elif [ "$play" = install ] && [ "$dry_run" = 0 ]; then
    say "done; next, with kubectl for this cluster: kubectl apply -f kubernetes/runtimeclass.yaml"
fi
exit "$status"
