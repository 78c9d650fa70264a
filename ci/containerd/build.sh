#!/bin/bash
# Builds containerd, ctr, runc's shim and containerd's own test programs from the Go module.
#
#   ci/containerd/build.sh VERSION [SUITE…]    VERSION: 1.7, 2.1, 2.2, 2.3 or 2.4; the patch release
#                                              is pinned, by hash, in modules/VERSION/
#   ci/containerd/build.sh --list              the versions
#   ci/containerd/build.sh --delete            remove what was built, and Go's caches
#
# Prints the directory: containerd, ctr, containerd-shim-runc-v2, and each SUITE: cri.test, the suite
# of its CRI plugin, and since 2.1 client.test, that of its Go client. All static, so that they run on
# every node.
#
# It lies under $REAPER_CI_STATE/containerd-go; the name holds the hash of what it is made from. It
# is made elsewhere and renamed when whole. Builds are polite: one processor, lowest priority.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"

case ${1:-} in
--list)
    ls "$here/modules"
    exit 0
    ;;
--delete)
    rm -rf "$REAPER_CI_STATE/containerd-go" "$REAPER_CI_STATE/go"
    exit 0
    ;;
esac
version=${1:?a version is missing, see --list}
[ -d "$here/modules/$version" ] || die "unknown version: $version (known: $(cd "$here/modules" && echo *))"
shift
for suite in "$@"; do
    case $version:$suite in
    *:cri.test | 2.*:client.test) ;;
    # the client's suite of 1.7 is a module of its own without a release
    1.7:client.test) die "the Go module proxy does not have the client's suite of 1.7" ;;
    *) die "unknown suite: $suite (known: client.test cri.test)" ;;
    esac
done

PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "needs Go to build containerd $version: install it to /usr/local/go"
case $version in
1.*) module=github.com/containerd/containerd ;;
*) module=github.com/containerd/containerd/v2 ;;
esac
full=$(awk -v m="$module" '$1 == m { print $2 }' "$here/modules/$version/go.mod")
[ -n "$full" ] || die "modules/$version/go.mod does not name $module"

# Go's own caches, which are safe to be interrupted, and nothing of the caller's settings
export GOMODCACHE=$REAPER_CI_STATE/go/mod GOCACHE=$REAPER_CI_STATE/go/build
export GOFLAGS="-mod=readonly -modcacherw -buildvcs=false -trimpath -p=1" GOTOOLCHAIN=local GOWORK=off
export CGO_ENABLED=0
link="-s -w -X $module/version.Version=$full -X $module/version.Package=$module"

base=$REAPER_CI_STATE/containerd-go
hash=$({ cat "$here/modules/$version"/go.*; echo "$GOFLAGS $link"; } | sha256sum | cut -c1-12)
target=$base/$version-$hash

# finished NAME ARGUMENT…: go with these arguments builds NAME in $work. When it is whole it gets its
# place by a rename: a build that is killed leaves nothing that looks like a program.
finished() {
    local name=$1
    shift
    [ ! -x "$target/$name" ] || return 0
    say "building $name of containerd $full"
    (cd "$here/modules/$version" && nice -n 19 go "$@") </dev/null >&2 ||
        die "$name of containerd $full could not be built"
    mv "$work/$name" "$target/$name"
}
program() { finished "$1" build -ldflags "$link" -o "$work/$1" "$module/cmd/$1"; }
suite() { finished "$1" test -c -vet=off -o "$work/$1" "$module/$2"; }

mkdir -p "$target"
state_lock "containerd-$version"
work=$(mktemp -d "$base/.making-$version-XXXXXX")
trap 'rm -rf "$work"' EXIT
program containerd
program ctr
program containerd-shim-runc-v2
for name in "$@"; do
    case $name in
    client.test) suite client.test integration/client ;;
    cri.test) suite cri.test integration ;;
    esac
done
echo "$target"
