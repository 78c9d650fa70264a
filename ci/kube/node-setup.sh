#!/bin/bash
# Inside the container that becomes a node image: what kind's Dockerfile does after the packages, and the
# import of /images.tar. Called by node-image.sh only.

set -euo pipefail
# on any other machine it would take that one's services away
[ -f /images.tar ] && [ "$0" = /node-setup.sh ] || {
    echo "node-setup.sh: this is for node-image.sh, in the container that it makes" >&2
    exit 1
}

# kind: nothing but the units that it needs
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
mkdir -p /etc/systemd
printf '[Journal]\nReadKMsg=no\n' >/etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service

# Debian's programs lie elsewhere than kind's unit thinks, unless they come from the Go module
for program in containerd ctr containerd-shim-runc-v2; do
    [ -e "/usr/local/bin/$program" ] || ln -s "/usr/bin/$program" "/usr/local/bin/$program"
done
ln -sf /usr/sbin/runc /usr/local/sbin/runc
rm -f /lib/systemd/system/containerd.service

ctr oci spec |
    jq '.hooks.createContainer[.hooks.createContainer|length] |= . + {"path": "/kind/bin/mount-product-files.sh"}
        | del(.process.rlimits)' >/etc/containerd/cri-base.json

# --no-unpack: /var becomes a volume only when a node runs, and an overlay cannot lie on an overlay
containerd >/tmp/containerd.log 2>&1 &
daemon=$!
for _ in $(seq 150); do
    ctr version >/dev/null 2>&1 && break
    sleep 0.2
done
ctr --namespace k8s.io images import --no-unpack /images.tar
ctr --namespace k8s.io images list --quiet
kill "$daemon"
wait "$daemon" || true
rm -rf /images.tar /node-setup.sh /tmp/* /run/containerd
: >/etc/machine-id
