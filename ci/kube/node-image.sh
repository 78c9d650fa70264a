#!/bin/bash
# Builds and keeps a node image for kind: a Debian with its own containerd, and Kubernetes from build.sh.
#
#   ci/kube/node-image.sh [--containerd VERSION] [SUITE]
#                                   build if it is not there; prints reaper-kube-node:…
#   ci/kube/node-image.sh --name [--containerd VERSION] [SUITE]
#                                   print the name only; builds nothing
#   ci/kube/node-image.sh --delete  remove all images of this script from the engine
#
# SUITE is trixie (containerd 1.7, default) or bookworm (1.6). VERSION takes containerd from its Go module
# in place of Debian's: see ci/containerd/build.sh --list. The file system is what kind's own Dockerfile makes,
# with the files of the kind module; so is containerd's configuration, but for what is said below.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
. "$here/versions"

# those of kind's Dockerfile, and Debian's containerd
packages=systemd,systemd-sysv,dbus,containerd,runc,conntrack,iptables,nftables,ebtables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,bash,ca-certificates,curl,jq,procps,socat

name_only=0 containerd='' suite=trixie
while [ $# -gt 0 ]; do
    case $1 in
    --name) name_only=1 ;;
    --containerd)
        containerd=${2:?--containerd needs a version}
        shift
        ;;
    --delete)
        docker images --quiet reaper-kube-node | sort -u | xargs --no-run-if-empty docker rmi --force >/dev/null
        docker images --quiet reaper-kube-base | sort -u | xargs --no-run-if-empty docker rmi --force >/dev/null
        exit 0
        ;;
    bookworm | trixie) suite=$1 ;;
    *) die "unknown argument: $1 (known: --name, --containerd VERSION, --delete, bookworm, trixie)" ;;
    esac
    shift
done
if [ -n "$containerd" ]; then
    [ -d "$here/../containerd/modules/$containerd" ] || die "unknown version of containerd: $containerd"
fi

hash=$({
    echo "$suite $packages $containerd $("$here/build.sh" --name)"
    cat "$here"/{versions,images.sh,node-image.sh,node-setup.sh} "$here/../runc-without-sys-resource"
    [ -z "$containerd" ] || cat "$here/../containerd/modules/$containerd"/go.*
} | sha256sum | cut -c1-12)
name=reaper-kube-node:$suite${containerd:+-containerd$containerd}-$hash
base=reaper-kube-base:$suite-$(echo "$suite $packages" | sha256sum | cut -c1-12)

there() { docker image inspect "$1" >/dev/null 2>&1; }
if [ "$name_only" = 1 ]; then
    echo "$name"
    exit 0
fi
docker info >/dev/null 2>&1 || die "no container engine answers; run ci/engine.sh first"
if there "$name"; then
    echo "$name"
    exit 0
fi

need_root
programs=$("$here/build.sh")
other=
[ -z "$containerd" ] || other=$("$here/../containerd/build.sh" "$containerd")
apt_install mmdebstrap debian-archive-keyring
state_lock "kube-node-image-$suite"
if there "$name"; then
    echo "$name"
    exit 0
fi
say "building $name (two minutes)"
work=$(mktemp -d "$REAPER_CI_STATE/kube-node.XXXXXX")
maker=
clean_up() {
    [ -z "$maker" ] || docker rm --force --volumes "$maker" >/dev/null
    rm -rf "$work"
}
trap clean_up EXIT

if ! there "$base"; then
    mmdebstrap --quiet --variant=minbase "--include=$packages" "$suite" "$work/root.tar" >"$work/log" 2>&1 </dev/null || {
        tail -n 30 "$work/log" >&2
        die "mmdebstrap failed for $suite"
    }
    docker import "$work/root.tar" "$base" >/dev/null
    rm "$work/root.tar"
fi

# The archive is the same for every containerd.
images=$REAPER_CI_STATE/kube/images-$suite-$(cat "$here"/{versions,images.sh} <("$here/build.sh" --name) | sha256sum | cut -c1-12).tar
[ -f "$images" ] || "$here/images.sh" "$suite" "$images"

# --- the files ----------------------------------------------------------------------------------

stage=$work/stage
mkdir "$stage"
cp -r "$REAPER_CI_STATE/go/mod/sigs.k8s.io/kind@v$KIND/images/base/files/." "$stage/"
chmod -R u+w "$stage"
rm -rf "$stage/LICENSES"
find "$stage" -type d -exec chmod 755 {} +
find "$stage" -type f -exec chmod 644 {} +
chmod 755 "$stage"/usr/local/bin/* "$stage"/kind/bin/*
mkdir -p "$stage"/{usr/bin,usr/local/sbin,opt/cni/bin,kind/manifests,etc/kubernetes/manifests,etc/cni/net.d,LICENSES}
for program in kubelet kubeadm kubectl; do cp "$programs/$program" "$stage/usr/bin/"; done
for program in "$programs"/cni-*; do cp "$program" "$stage/opt/cni/bin/${program##*/cni-}"; done
[ -z "$other" ] || cp "$other"/{containerd,ctr,containerd-shim-runc-v2} "$stage/usr/local/bin/"
echo "v$KUBERNETES" >"$stage/kind/version"
# runc cannot give a pod a capability that the machine has not; see the script
install -m 0755 "$here/../runc-without-sys-resource" "$stage/usr/local/sbin/"

# restrict_oom_score_adj: on such a machine runc may not lower it either, and no pod would start
# bin_dir: Debian's containerd looks for plugins in /usr/lib/cni
sed -i -e "s,sandbox_image = .*,sandbox_image = \"$REPOSITORY/pause:$PAUSE_TAG\"," \
    -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
    -e 's,SystemdCgroup = true,&\n    BinaryName = "/usr/local/sbin/runc-without-sys-resource",' \
    "$stage/etc/containerd/config.toml"
cat >>"$stage/etc/containerd/config.toml" <<'TOML'

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
TOML

# --- the image ----------------------------------------------------------------------------------

# docker commit cannot set the stop signal, docker run can
maker=$(docker run --detach --privileged --stop-signal SIGRTMIN+3 --entrypoint sleep "$base" infinity)
tar -C "$stage" --owner=0 --group=0 -c . | docker exec --interactive "$maker" tar -C / --keep-directory-symlink -x
docker cp --quiet "$images" "$maker:/images.tar"
docker cp --quiet "$here/node-setup.sh" "$maker:/node-setup.sh"
docker exec "$maker" bash /node-setup.sh >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    die "the node image could not be set up"
}
# LEGACY_FORCE: systemd 256 and later boot on cgroup v1 only when they are told to
docker commit --change 'ENV container=docker SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1' \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' --change 'CMD []' \
    --change 'LABEL io.reaper.kube.node=home-made' "$maker" "$name" >/dev/null
echo "$name"
