#!/bin/sh
# The notices of the libraries that are linked into the programs, from their Debian packages.
set -eu
echo "Reaper's programs are statically linked. They contain parts of the following libraries, whose"
echo "licences ask for these notices."
for package in "$@"; do
    printf '\n======== %s\n\n' "$(dpkg-query -W -f '${source:Package} ${source:Version} (${Package})' "$package")"
    cat "/usr/share/doc/$package/copyright"
done
