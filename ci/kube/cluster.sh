#!/bin/bash
# Makes and removes test clusters with kind.
#
#   ci/kube/cluster.sh create [--workers N] [--image IMAGE] NAME
#                                     prints the path of its kubeconfig when all nodes are Ready
#   ci/kube/cluster.sh delete NAME…   unknown ones are fine
#   ci/kube/cluster.sh kubeconfig NAME
#
# IMAGE is one of node-image.sh (default) or kind's own, kindest/node:…; N is 0 by default, and the control
# plane is then a node as any other. kind is used as it is. A home-made image has no pod network add-on, so
# each node gets a bridge with its own podCIDR, the routes to those of the others, and a unit that makes
# them again when the node is restarted.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
. "$here/versions"

pod_subnet=10.244.0.0/16
kubeconfig() { echo "$REAPER_CI_STATE/kube/$1.kubeconfig"; }

# --- what the cluster is ------------------------------------------------------------------------

# configuration HOME-MADE WORKERS
configuration() {
    cat <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  disableDefaultCNI: $1
  podSubnet: $pod_subnet
kubeadmConfigPatches:
- |
  # logs are turned over while a test looks
  kind: KubeletConfiguration
  containerLogMaxSize: 1Mi
  containerLogMaxFiles: 3
  containerLogMonitorInterval: 3s
YAML
    cat <<'YAML'
- |
  # On a busy machine the two would lose their lease, and end, for nobody else to lead; and etcd would wait for
  # the disk. No test cluster outlives the machine.
  kind: ClusterConfiguration
  etcd:
    local:
      extraArgs:
        unsafe-no-fsync: "true"
  controllerManager:
    extraArgs:
      leader-elect: "false"
  scheduler:
    extraArgs:
      leader-elect: "false"
YAML
    [ "$1" = false ] || echo "  imageRepository: $REPOSITORY"
    echo "nodes:"
    echo "- role: control-plane"
    for _ in $(seq "$2"); do echo "- role: worker"; done
}

# --- the pod network of home-made images --------------------------------------------------------

# Run by the unit at every start of the node: the address is the node's own only after kind's entrypoint.
network_script() {
    cat <<SH
#!/bin/sh
# leave the cluster with the node's address, reach pods of other nodes with the pod's own
iptables -t nat -C POSTROUTING -s $pod_subnet ! -d $pod_subnet -j MASQUERADE 2>/dev/null ||
    iptables -t nat -A POSTROUTING -s $pod_subnet ! -d $pod_subnet -j MASQUERADE
SH
    # $2: the list of nodes; ours is left out
    while read -r name cidr address; do
        [ "$name" = "$1" ] || echo "ip route replace $cidr via $address"
    done <<<"$2"
}

conflist() {
    cat <<JSON
{ "cniVersion": "0.4.0", "name": "kube", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}] } },
  { "type": "portmap", "capabilities": {"portMappings": true} } ] }
JSON
}

unit() {
    cat <<'UNIT'
[Unit]
Description=Routes of the pod network
Before=kubelet.service
[Service]
Type=oneshot
ExecStart=/bin/sh /kind/pod-network.sh
[Install]
WantedBy=multi-user.target
UNIT
}

# The kubelet looks for the network all the time, so its file has to be whole at once.
write_on() { docker exec --interactive "$1" sh -c 'cat >"$1.new" && mv "$1.new" "$1"' sh "$2"; }

network() {
    local list name cidr
    # a node has its podCIDR some seconds after it has registered
    kubectl wait --for=jsonpath='{.spec.podCIDR}' nodes --all --timeout=120s >&2
    list=$(kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}')
    while read -r name cidr _; do
        network_script "$name" "$list" | write_on "$name" /kind/pod-network.sh
        unit | write_on "$name" /etc/systemd/system/pod-network.service
        docker exec "$name" sh -c 'systemctl enable --quiet pod-network && systemctl start pod-network' </dev/null >&2
        conflist "$cidr" | write_on "$name" /etc/cni/net.d/10-kube.conflist
    done <<<"$list"
}

# --- commands -----------------------------------------------------------------------------------

create() {
    local workers=0 image='' name='' home_made work
    while [ $# -gt 0 ]; do
        case $1 in
        --workers) workers=${2:?--workers needs a number} && shift ;;
        --image) image=${2:?--image needs a name} && shift ;;
        -*) die "create: unknown option $1" ;;
        *) name=$1 ;;
        esac
        shift
    done
    [ -n "$name" ] || die "create needs the name of the cluster"
    [ -n "$image" ] || image=$("$here/node-image.sh")
    # all of a cluster's daemons watch files as one user, and the kernel's 128 are few for three nodes
    [ "$(cat /proc/sys/fs/inotify/max_user_instances)" -ge 1024 ] || echo 1024 >/proc/sys/fs/inotify/max_user_instances
    PATH=$("$here/build.sh" kind kubectl):$PATH
    KUBECONFIG=$(kubeconfig "$name")
    export PATH KUBECONFIG
    docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" >&2 ||
        die "there is no node image $image, and it could not be pulled"
    home_made=$(docker image inspect --format '{{if .Config.Labels}}{{index .Config.Labels "io.reaper.kube.node"}}{{end}}' "$image")
    [ "$home_made" = home-made ] && home_made=true || home_made=false
    work=$(mktemp -d "${TMPDIR:-/tmp}/kube-cluster.XXXXXX")
    # shellcheck disable=SC2064 # now, for work is local
    trap "rm -rf '$work'" EXIT
    configuration "$home_made" "$workers" >"$work/kind.yaml"
    kind create cluster --name "$name" --image "$image" --config "$work/kind.yaml" --retain </dev/null >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        die "kind could not make the cluster $name; its nodes are left to be looked at"
    }
    if [ "$home_made" = true ]; then
        network
    else
        "$here/images.sh" --test "$work/test.tar"
        kind load image-archive --name "$name" "$work/test.tar" >&2
    fi
    kubectl wait --for=condition=Ready nodes --all --timeout=180s >&2
    # pods wait for it, and it comes from a controller
    kubectl wait --for=create serviceaccount/default --timeout=60s >&2
    echo "$KUBECONFIG"
}

delete() {
    local name
    PATH=$("$here/build.sh" kind):$PATH
    for name in "$@"; do
        kind delete cluster --name "$name" --kubeconfig "$(kubeconfig "$name")" >&2
        rm -f "$(kubeconfig "$name")"
    done
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
create | delete | kubeconfig) "$command" "$@" ;;
*) die "unknown command: '$command' (known: create, delete, kubeconfig)" ;;
esac
