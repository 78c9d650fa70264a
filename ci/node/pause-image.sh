#!/bin/sh
# pause-image.sh NAME: writes to stdout an OCI archive of an image NAME without layers.
#
# CRI asks for the pause image before it makes a sandbox, and a node without a registry cannot pull
# it. With Reaper its program is never run, so an image that holds nothing is enough.
set -eu

name=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
blobs=$dir/blobs/sha256
mkdir -p "$blobs"

# blob FILE: moves FILE to its digest; sets digest and size
blob() {
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(wc -c <"$1")
    mv "$1" "$blobs/$digest"
}

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac

printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":[]}}' \
    "$arch" >"$dir/config"
blob "$dir/config"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[]}' \
    "$digest" "$size" >"$dir/manifest"
blob "$dir/manifest"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"},"platform":{"architecture":"%s","os":"linux"}}]}' \
    "$digest" "$size" "$name" "${name##*:}" "$arch" >"$dir/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"
tar -C "$dir" --sort=name --mtime=@0 --owner=0 --group=0 -cf - blobs index.json oci-layout
