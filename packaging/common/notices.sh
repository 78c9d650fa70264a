#!/bin/sh
# The notices of the libraries that are linked into the programs, from their Debian packages.
# REAPER_SYSROOT: where the packages of another architecture are unpacked (ci/cross-root.sh).
set -eu
root=${REAPER_SYSROOT:-}
echo "Reaper's programs are statically linked. They contain parts of the following libraries, whose"
echo "licences ask for these notices."
for package in "$@"; do
    printf '\n======== %s\n\n' "$(dpkg-query --admindir="$root/var/lib/dpkg" -W \
        -f '${source:Package} ${source:Version} (${Package})' "$package")"
    cat "$root/usr/share/doc/$package/copyright"
done
