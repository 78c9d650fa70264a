#!/bin/bash
# Shows Reaper at work on this machine: makes a node, installs Reaper into it as on a production
# node, and runs a pod.
#
#   scripts/try-reaper.sh [--yes] [--suite bookworm|trixie]
#   scripts/try-reaper.sh pod ARGUMENTS…
#   scripts/try-reaper.sh node COMMAND…
#   scripts/try-reaper.sh --rollback
#   scripts/try-reaper.sh --delete
#
#   --yes       do not ask before packages are installed
#   --suite S   the Debian of the node: bookworm (containerd 1.6, default) or trixie (1.7)
#   pod …       the node's pods, once it runs: run-pod FILE, pods, logs POD, exec POD -- COMMAND, rmp POD; `pod --help`
#   node …      runs COMMAND on the node
#   --rollback  take Reaper off the node again, by ansible/rollback-reaper.yml
#   --delete    remove what this script made, and say what it leaves
#
# Needs root and Debian 12 or 13, and nothing else: it lists the packages it would install first.
# The node is a container with systemd and Debian's containerd, labelled as kind labels its nodes.
# Built things and logs are kept under $REAPER_CI_STATE (default /var/lib/reaper-ci), so a second
# run takes seconds.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
. ci/common.sh

cluster=reaper-try
node=$cluster-control-plane
state=$REAPER_CI_STATE/try
log=$state/log

# --- the command line ---------------------------------------------------------------------------

yes=0
delete=0
rollback=0
then=
suite=bookworm
while [ $# -gt 0 ]; do
    case $1 in
    --yes) yes=1 ;;
    --delete) delete=1 ;;
    --rollback) rollback=1 ;;
    --suite)
        case ${2:-} in
        bookworm | trixie) suite=$2 ;;
        *) die "--suite is bookworm or trixie" ;;
        esac
        shift
        ;;
    pod | node)
        then=$1
        shift
        break
        ;;
    -h | --help)
        script_help
        exit 0
        ;;
    *) die "unknown argument: $1 (try --help)" ;;
    esac
    shift
done
need_root
command -v apt-get >/dev/null || die "this is no Debian: there is no apt-get"

# --- steps --------------------------------------------------------------------------------------

steps=6
step=0
# step TEXT COMMAND…: shows the step and what it took; its output goes to the log.
step() {
    local text=$1 begin=$SECONDS
    shift
    step=$((step + 1))
    printf '[%d/%d] %-50s ' "$step" "$steps" "$text" >&2
    # in the background: inside the condition of an "if" a failed command would not end a function
    (set -e; "$@") >>"$log" 2>&1 &
    if ! wait $!; then
        printf 'failed\n\n' >&2
        tail -n 25 "$log" >&2
        die "the step \"$text\" failed; all its output is in $log"
    fi
    printf '%3d s\n' $((SECONDS - begin)) >&2
}

# The packages that are not there yet, one a line.
missing_packages() {
    apt_missing python3 python3-venv
    ci/build-packages.sh --plan deb
    if ! ci/engine.sh --check || ! docker image inspect "$(ci/node-image.sh --name "$suite")" >/dev/null 2>&1; then
        apt_missing mmdebstrap debian-archive-keyring
    fi
    ci/engine.sh --plan | sed -n 's/^install the package //p'
}

# Packages of the first run stay on record, so that --delete can name them.
record_packages() { printf '%s\n' "$@" | sort -u - "$state/packages" -o "$state/packages"; }

make_node() {
    local image
    image=$(ci/node-image.sh --name "$suite")
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        ci/node-image.sh "$suite"
        echo "$image" >>"$state/images"
    fi
    # a node of another suite makes way
    if [ "$(docker inspect --format '{{.Config.Image}}' "$node" 2>/dev/null)" != "$image" ]; then
        ci/node.sh delete "$node"
    fi
    ci/node.sh create --image "$image" --cluster "$cluster" "$node"
    pod_network
}

# What a cluster's network add-on does: the address and the routes of each pod. This one is kind's,
# without ways out of the machine.
pod_network() {
    docker exec --interactive "$node" sh -c 'mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-try.conflist' <<'EOF'
{
  "cniVersion": "0.4.0",
  "name": "try",
  "plugins": [
    { "type": "ptp",
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.244.77.0/24" }]],
                "routes": [{ "dst": "0.0.0.0/0" }] } }
  ]
}
EOF
}

endpoint() { echo "unix://$(ci/node.sh root "$node")/run/containerd/containerd.sock"; }
cri() { tests/support/reaper-cri --endpoint "$(endpoint)" "$@"; }

# with the Ansible of the environment that reaper-cri needs, too: one to be made less
play() {
    local python
    python=$(ci/python-env.sh) || return
    PATH="$python:$PATH" scripts/install-reaper.sh --kind "$cluster" --report "$state/reports" "$@"
}

run_example() { cri run-pod kubernetes/runtimeclass.yaml >"$state/output"; }

run_shell() {
    if cri pods | grep -q ' reaper-shell ready '; then return 0; fi
    if cri pods | grep -q ' reaper-shell '; then cri rmp reaper-shell; fi
    cri run-pod --detach kubernetes/shell.yaml
}

# --- the node, once it runs ---------------------------------------------------------------------

need_node() {
    if ! ci/engine.sh --check || ! docker inspect "$node" >/dev/null 2>&1; then
        die "there is no node yet: scripts/try-reaper.sh makes one"
    fi
}

if [ -n "$then" ]; then
    need_node
    case $then in
    pod) cri "$@" ;;
    node) ci/node.sh exec "$node" "$@" ;;
    esac
    exit
fi

if [ "$rollback" = 1 ]; then
    need_node
    play --rollback
    exit
fi

# --- delete -------------------------------------------------------------------------------------

if [ "$delete" = 1 ]; then
    if ci/engine.sh --check; then
        ci/node.sh delete --cluster "$cluster"
        # of the images only those that were made for it
        if [ -s "$state/images" ]; then xargs docker image rm <"$state/images" >/dev/null 2>&1 || true; fi
        if [ -e "$state/engine" ]; then ci/engine.sh --stop; fi
    fi
    echo "Removed: the node $node, and its image if it was made for it."
    if [ -s "$state/packages" ]; then
        echo "Left: packages that were installed for it. To remove them:"
        echo "  apt-get purge --autoremove $(tr '\n' ' ' <"$state/packages")"
    fi
    echo "Left: what was built, in dist/ and $REAPER_CI_STATE."
    rm -rf "$state"
    exit 0
fi

# --- go -----------------------------------------------------------------------------------------

mkdir -p "$state"
touch "$state/packages"
: >"$log"
wanted=$(missing_packages | sort -u)
if [ -n "$wanted" ]; then
    echo "These packages will be installed:"
    echo "$wanted" | fold -s -w 76 | sed 's/^/  /'
    if [ "$yes" = 0 ]; then
        [ -t 0 ] || die "nobody to ask here; run it again with --yes"
        read -r -p "Go on? [y/N] " answer
        case $answer in [yY]*) ;; *) die "nothing was done" ;; esac
    fi
    # shellcheck disable=SC2086
    record_packages $wanted
fi
ci/engine.sh --check || touch "$state/engine"

step "container engine" ci/engine.sh
step "packages of Reaper" ci/build-packages.sh deb
step "node ($suite, containerd from Debian)" make_node
step "Reaper on the node, by ansible/install-reaper.yml" play
step "pod reaper-example" run_example
step "pod reaper-shell" run_shell

echo
echo "The log of reaper-example:"
sed 's/^/  /' "$state/output"
cat <<EOF

What to try next, in $top:

  # exec into the pod: it sees the node's own files
  scripts/try-reaper.sh pod exec reaper-shell -- cat /etc/os-release
  # what it writes is there for pods, and not on the node
  scripts/try-reaper.sh pod exec reaper-shell -- sh -c 'echo x > /etc/was-here; ls -l /etc/was-here'
  scripts/try-reaper.sh node ls /etc/was-here
  # remove the pod, then roll back: the node is as it was before
  scripts/try-reaper.sh pod rmp reaper-shell
  scripts/try-reaper.sh --rollback
  # and all of this gone
  scripts/try-reaper.sh --delete
EOF
