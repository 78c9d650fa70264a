#!/bin/bash
# Prints the directory of toml-lang's toml-test suite (valid/, invalid/, files-toml-1.0.0). Taken as
# the Go module that ci/toml-test/go.mod pins, checked by its go.sum, kept under $REAPER_CI_STATE.
# Go itself is needed only the first time.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh

key=$(cat toml-test/go.mod toml-test/go.sum | sha256sum | cut -c1-12)
suite=$REAPER_CI_STATE/toml-test/$key
if [ ! -e "$suite/files-toml-1.0.0" ]; then
    state_lock toml-test
fi
if [ ! -e "$suite/files-toml-1.0.0" ]; then
    command -v go >/dev/null || apt_install golang-go ca-certificates
    work=$(mktemp -d)
    trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
    cp toml-test/go.mod toml-test/go.sum "$work"
    directory=$(cd "$work" && export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOPATH=$work/go GOCACHE=$work/cache &&
        go mod download github.com/toml-lang/toml-test/v2 >&2 &&
        go list -m -f '{{.Dir}}' github.com/toml-lang/toml-test/v2)
    cmp -s toml-test/go.sum "$work/go.sum" || die "the checksums of the module are not those of go.sum"
    rm -rf "$suite" "$suite.new"
    mkdir -p "$REAPER_CI_STATE/toml-test"
    cp -r --no-preserve=mode "$directory/tests" "$suite.new"
    mv "$suite.new" "$suite"
fi
printf '%s\n' "$suite"
