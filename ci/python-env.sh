#!/bin/bash
# Makes a private Python environment of packages that are pinned by hash.
#
#   ci/python-env.sh            that of the tests (ci/requirements.txt: Ansible, pytest, grpcio), if it
#                               is not there; prints its bin directory
#   ci/python-env.sh FILE       that of another file of requirements
#   ci/python-env.sh --delete   remove every environment of this script
#
# It lies under $REAPER_CI_STATE/python and its name holds the hash of the requirements and the
# version of Python, so a change makes a new one. Nothing is installed into the system's Python.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

if [ "${1:-}" = --delete ]; then
    rm -rf "$REAPER_CI_STATE/python"
    exit 0
fi
requirements=${1:-$here/requirements.txt}
if [ $# -gt 1 ] || [ ! -f "$requirements" ]; then
    die "unknown argument: $* (known: --delete, a file of requirements)"
fi

# Debian's own Python, not whatever a version manager has put first on PATH
python=/usr/bin/python3
if [ ! -x "$python" ] || [ -n "$(apt_missing python3-venv)" ]; then
    need_root
    apt_install python3 python3-venv
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "needs Python 3.11 or later (Debian 12), found $version"
hash=$(sha256sum "$requirements" | cut -c1-12)
target=$REAPER_CI_STATE/python/$version-$hash

if [ ! -e "$target/complete" ]; then
    state_lock python-env
    if [ ! -e "$target/complete" ]; then
        say "making the Python environment of $requirements: about a minute"
        rm -rf "$target"
        mkdir -p "$REAPER_CI_STATE/python"
        "$python" -m venv "$target"
        "$target/bin/pip" install --quiet --disable-pip-version-check --no-input \
            --require-hashes --only-binary :all: --no-compile -r "$requirements" \
            </dev/null >&2 || die "pip could not install $requirements"
        touch "$target/complete"
    fi
fi
echo "$target/bin"
