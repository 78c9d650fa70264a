#!/bin/bash
# Builds Kubernetes and what a kind cluster needs beside it, from Go modules.
#
#   ci/kube/build.sh [PROGRAM…]   all, or only these (see --list)
#   ci/kube/build.sh --name       print the directory only; builds nothing
#   ci/kube/build.sh --missing    print the programs that are not built yet, one a line
#   ci/kube/build.sh --list       the programs, those too that are built only when they are named
#   ci/kube/build.sh --delete     remove what was built; Go's caches stay (ci/containerd/build.sh has them too)
#
# Prints the directory: kubelet, kubeadm, kubectl, the control plane, kube-proxy, etcd, coredns, kind and
# the CNI plugins (cni-NAME). All static. The modules are pinned, by hash, in modules/. Only when they are
# named: Kubernetes' own tests (e2e.test), what their pods run (agnhost), and what runs the tests at once (ginkgo).
#
# k8s.io/kubernetes cannot be installed by name, because its go.mod has replace directives: modules/kubernetes
# has the same go.mod with the published staging modules instead of the directories.
#
# The directory lies under $REAPER_CI_STATE/kube; its name holds the hash of what it is made from. A cold
# build takes ten to twenty minutes of processor time, a second run none. Builds are polite: lowest priority.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
. "$here/versions"

# PROGRAM MODULE PACKAGE
programs="\
kind kind sigs.k8s.io/kind
cni-bridge cni github.com/containernetworking/plugins/plugins/main/bridge
cni-loopback cni github.com/containernetworking/plugins/plugins/main/loopback
cni-host-local cni github.com/containernetworking/plugins/plugins/ipam/host-local
cni-portmap cni github.com/containernetworking/plugins/plugins/meta/portmap
kubectl kubernetes k8s.io/kubernetes/cmd/kubectl
kubeadm kubernetes k8s.io/kubernetes/cmd/kubeadm
kubelet kubernetes k8s.io/kubernetes/cmd/kubelet
kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager
kube-scheduler kubernetes k8s.io/kubernetes/cmd/kube-scheduler
kube-proxy kubernetes k8s.io/kubernetes/cmd/kube-proxy
etcd etcd go.etcd.io/etcd/server/v3
coredns coredns ."
optional="\
agnhost kubernetes k8s.io/kubernetes/test/images/agnhost
ginkgo kubernetes github.com/onsi/ginkgo/v2/ginkgo
e2e.test kubernetes k8s.io/kubernetes/test/e2e"

base=$REAPER_CI_STATE/kube
export GOFLAGS="-mod=readonly -modcacherw -buildvcs=false -trimpath -p=2" GOTOOLCHAIN=local GOWORK=off
export CGO_ENABLED=0
# Go's own caches, which are safe to be interrupted, and nothing of the caller's settings
export GOMODCACHE=$REAPER_CI_STATE/go/mod GOCACHE=$REAPER_CI_STATE/go/build

# without its version compiled in, every program of Kubernetes believes to be v0.0.0
link="-s -w"
minor=${KUBERNETES#1.}
for pair in "gitVersion=v$KUBERNETES" gitMajor=1 "gitMinor=${minor%.*}" gitTreeState=archive \
    gitCommit=unknown buildDate=1970-01-01T00:00:00Z; do
    link+=" -X k8s.io/component-base/version.$pair -X k8s.io/client-go/pkg/version.$pair"
done
hash=$({ cat "$here"/modules/*/*; echo "$programs $link"; } | sha256sum | cut -c1-12)
target=$base/programs-$KUBERNETES-$hash

default() { cut -d ' ' -f 1 <<<"$programs"; }
names() { cut -d ' ' -f 1 <<<"$programs"$'\n'"$optional"; }
missing() { for name in $(default); do [ -x "$target/$name" ] || echo "$name"; done; }

case ${1:-} in
--name) echo "$target" && exit 0 ;;
--missing) missing && exit 0 ;;
--list) names && exit 0 ;;
--delete) rm -rf "$base"/programs-* && exit 0 ;;
-*) die "unknown argument: $1 (known: --name, --missing, --list, --delete)" ;;
esac

wanted=$*
for name in ${wanted:=$(default | tr '\n' ' ')}; do
    names | grep -qx -- "$name" || die "unknown program: $name (known: $(names | tr '\n' ' '))"
done

# everything is there: Go is not needed
complete() { for name in $wanted; do [ -x "$target/$name" ] || return 1; done; }
if complete; then
    echo "$target"
    exit 0
fi

PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "needs Go 1.24 or later to build Kubernetes $KUBERNETES: install it to /usr/local/go"

mkdir -p "$target"
state_lock kube-programs
work=$(mktemp -d "$base/.making-XXXXXX")
trap 'rm -rf "$work"' EXIT
# When a program is whole it gets its place by a rename: a build that is killed leaves nothing that looks like one.
while read -r name module package; do
    case " $wanted " in *" $name "*) ;; *) continue ;; esac
    [ ! -x "$target/$name" ] || continue
    say "building $name"
    case $name in *.test) how=(test -c -vet=off) ;; *) how=(build) ;; esac
    (cd "$here/modules/$module" && nice -n 19 go "${how[@]}" -ldflags "$link" -o "$work/$name" "$package") </dev/null >&2 ||
        die "$name could not be built"
    mv "$work/$name" "$target/$name"
done <<<"$programs"$'\n'"$optional"
echo "$target"
