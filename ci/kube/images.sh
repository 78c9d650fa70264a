#!/bin/bash
# Makes the container images of the test cluster: each one static program in an otherwise empty file system.
#
#   ci/kube/images.sh SUITE FILE     writes them to FILE as one archive that `ctr images import` takes
#   ci/kube/images.sh --test FILE    only the image that tests give to runc, $REPOSITORY/busybox:1
#
# The names are those that kubeadm asks for, below $REPOSITORY (see versions). kube-proxy needs iptables and
# has it from the Debian SUITE. No engine is needed, and nothing is left behind but FILE.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
. "$here/versions"

usage="usage: images.sh SUITE FILE, or images.sh --test FILE"
suite=${1:?$usage} file=${2:?$usage}
need_root
programs=$("$here/build.sh" --name)
export GOMODCACHE=$REAPER_CI_STATE/go/mod
work=$(mktemp -d "${TMPDIR:-/tmp}/kube-images.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/archive"
manifest=()

# image NAME CONFIG LAYER: adds an image of one layer to the archive. CONFIG is the inside of the image
# configuration's "config"; LAYER is a tar file, which is moved.
image() {
    local name=$1 config=$2 layer=$3 digest
    digest=$(sha256sum "$layer" | cut -d ' ' -f 1)
    mv "$layer" "$work/archive/$digest.tar"
    printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(dpkg --print-architecture)" "$config" "$digest" >"$work/config"
    mv "$work/config" "$work/archive/$digest.json"
    manifest+=("{\"Config\":\"$digest.json\",\"RepoTags\":[\"$name\"],\"Layers\":[\"$digest.tar\"]}")
}

pack() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .; }

# one NAME TAG: the program NAME of build.sh under the name that kubeadm gives it
one() {
    local root=$work/root-$1
    mkdir -p "$root/usr/local/bin" "$root/tmp" "$root/etc/ssl/certs"
    chmod 1777 "$root/tmp"
    cp "$programs/$1" "$root/usr/local/bin/"
    printf 'root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n' >"$root/etc/passwd"
    pack "$root"
    image "$REPOSITORY/$1:$2" "\"Entrypoint\":[\"/usr/local/bin/$1\"]" "$work/layer.tar"
    rm -r "$root"
}

# Kubernetes' own program, from its source in the module
pause() {
    mkdir "$work/pause"
    gcc -Os -static -s "-DVERSION=v$PAUSE_TAG" -o "$work/pause/pause" \
        "$GOMODCACHE/k8s.io/kubernetes@v$KUBERNETES/build/pause/linux/pause.c"
    pack "$work/pause"
    image "$REPOSITORY/pause:$PAUSE_TAG" '"Entrypoint":["/pause"],"User":"65535:65535"' "$work/layer.tar"
}

# Debian's static build with a link for each applet
busybox() {
    local root=$work/busybox applet
    mkdir -p "$root"/{bin,tmp,etc,proc,sys,dev,root,var}
    chmod 1777 "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    pack "$root"
    image "$REPOSITORY/busybox:1" '"Cmd":["sh"]' "$work/layer.tar"
}

# The program with Debian's iptables around it. The packages are only unpacked, so the links that their
# scripts would make are made here.
proxy() {
    local root=$work/proxy name
    mkdir -p "$root/usr/local/bin" "$root/usr/sbin"
    # before the packages: some of bookworm's have their files in /lib, and a link that comes later would take these away
    # shellcheck disable=SC2016 # mmdebstrap's shell has the directory
    mmdebstrap --quiet --variant=extract --include=iptables,conntrack \
        --setup-hook='for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done' \
        "$suite" "$work/proxy.tar" </dev/null >&2
    cp "$programs/kube-proxy" "$root/usr/local/bin/"
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -s xtables-nft-multi "$root/usr/sbin/$name"
    done
    tar -C "$root" --owner=0 --group=0 -rf "$work/proxy.tar" .
    image "$REPOSITORY/kube-proxy:v$KUBERNETES" '"Entrypoint":["/usr/local/bin/kube-proxy"]' "$work/proxy.tar"
}

apt_install busybox-static
if [ "$suite" = --test ]; then
    busybox
else
    apt_install mmdebstrap debian-archive-keyring gcc libc6-dev
    for name in kube-apiserver kube-controller-manager kube-scheduler; do one "$name" "v$KUBERNETES"; done
    one etcd "$ETCD_TAG"
    one coredns "$COREDNS_TAG"
    pause
    busybox
    proxy
fi
(IFS=, && printf '[%s]' "${manifest[*]}") >"$work/archive/manifest.json"
tar -C "$work/archive" -cf "$work/all.tar" .
mv "$work/all.tar" "$file"
