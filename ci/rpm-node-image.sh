#!/bin/bash
# Builds and keeps the image of a node whose containerd is an rpm: the bookworm node with rpm and dnf.
#
#   ci/rpm-node-image.sh           build if it is not there; prints reaper-node:rpm-HASH
#   ci/rpm-node-image.sh --name    print the name only; builds nothing
#
# There is no rpm distribution to be had where only Debian's mirror is; what rpm and dnf do with our
# scripts does not depend on it. containerd's programs are Debian's, in a small package with the files
# and scripts of Fedora's (ci/node/make-rpm-root.sh). Needs an engine (ci/engine.sh).

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

base=$("$here/node-image.sh" --name bookworm)
name=reaper-node:rpm-$({ echo "$base"; cat "$here/node/make-rpm-root.sh" "$0"; } | sha256sum | cut -c1-12)
case ${1:-} in
'') ;;
--name)
    echo "$name"
    exit 0
    ;;
*) die "unknown argument: $1 (known: --name)" ;;
esac

have() { docker image inspect "$name" >/dev/null 2>&1; }
docker info >/dev/null 2>&1 || die "no container engine answers; run ci/engine.sh first"
if have; then
    echo "$name"
    exit 0
fi
state_lock node-image-rpm
if have; then
    echo "$name"
    exit 0
fi
"$here/node-image.sh" bookworm >/dev/null
say "building $name (one minute)"
container=reaper-node-image-rpm-$$
trap 'docker rm -fv "$container" >/dev/null 2>&1 || true' EXIT
docker create --name "$container" --entrypoint /bin/sh "$base" /root/make-rpm-root.sh >/dev/null
docker cp -q "$here/node/make-rpm-root.sh" "$container:/root/make-rpm-root.sh"
log=$REAPER_CI_STATE/rpm-node-image.log
docker start --attach "$container" >"$log" 2>&1 </dev/null || {
    tail -n 30 "$log" >&2
    die "the rpm root could not be made, see $log"
}
docker commit --change 'ENTRYPOINT ["/usr/local/sbin/node-init"]' --change 'CMD []' \
    --change 'LABEL io.reaper.suite=rpm' "$container" "$name" >/dev/null
echo "$name"
