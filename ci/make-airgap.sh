#!/bin/bash
# Makes one tar with everything for a site without network.
#
#   ci/make-airgap.sh [--out FILE] [--no-wheels]
#
#   --out FILE     where it goes (default: dist/reaper-VERSION-airgap.tar)
#   --no-wheels    without Ansible: the control machine of the site has ansible-core 2.14 or later
#
# What is in it: reaper-VERSION/, which is this checkout without its tests and history, with
#   dist/        debs and rpms of amd64 and arm64, their bills of materials and SHA256SUMS
#   collection/  ansible/ as the collection reaper.node, for ansible-galaxy and automation servers
#   wheels/      Ansible for the control machine, as ansible/requirements.txt
#                pins it, for this machine's version of Python
#   SHA256SUMS   of every file of the tree
# scripts/install-reaper.sh in the unpacked tree needs no network, and takes the tar itself as its
# --package too. docs/INSTALL.md says what the site's machines need. The image that pods name is in
# reaperctl, so there is none to carry. But for collection/ and wheels/ the same checkout gives the
# same bytes.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
top=$(source_dir)

out='' wheels=1
while [ $# -gt 0 ]; do
    case $1 in
    --out)
        [ $# -ge 2 ] || die "--out needs a value"
        out=$2
        shift
        ;;
    --no-wheels) wheels=0 ;;
    -h | --help)
        script_help
        exit 0
        ;;
    *) die "unknown argument: $1 (try --help)" ;;
    esac
    shift
done
if [ -n "$out" ]; then
    [ -d "$(dirname "$out")" ] || die "no such directory: $(dirname "$out")"
    out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
fi

"$here/build-packages.sh" --arch all all >&2
cd "$top"
debs=(dist/reaper_*_amd64.deb)
version=$(dpkg-deb -f "${debs[0]}" Version)
epoch=$(dpkg-deb --fsys-tarfile "${debs[0]}" | tar -tv --full-time --utc | awk '{ print $4, $5 }' | LC_ALL=C sort | tail -n 1)
epoch=$(date -u -d "$epoch UTC" +%s)
out=${out:-$top/dist/reaper-$version-airgap.tar}

work=$(mktemp -d "${TMPDIR:-/tmp}/reaper-airgap.XXXXXX")
trap 'rm -rf "$work"' EXIT
umask 022
tree=$work/reaper-$version
mkdir "$tree"
parts=(LICENSE README.md CMakeLists.txt CMakePresets.json ansible ci cmake docs kubernetes packaging proto scripts src)
{
    if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
        git -c safe.directory='*' ls-files -z --cached --others --exclude-standard -- "${parts[@]}" |
            while IFS= read -r -d '' file; do
                if [ -e "$file" ]; then printf '%s\0' "$file"; fi
            done
    else
        find "${parts[@]}" \( -type f -o -type l \) -print0
    fi
    find dist \( -name '*.deb' -o -name '*.rpm' -o -name '*.spdx.json' -o -name SHA256SUMS \) -print0
} | sort -z | tar --null --files-from=- -cf - | tar -xf - -C "$tree" --no-same-owner

python=$("$here/python-env.sh")
"$python/ansible-galaxy" collection build "$tree/ansible" --output-path "$tree/collection" </dev/null >&2 ||
    die "ansible-galaxy could not make the collection"
if [ "$wheels" = 1 ]; then
    requirements=ansible/requirements.txt
    [ -e "$requirements" ] || requirements=ci/requirements.txt
    "$python/pip" download --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: --dest "$tree/wheels" -r "$requirements" </dev/null >&2 ||
        die "pip could not fetch Ansible (--no-wheels leaves it out)"
    cp "$requirements" "$tree/wheels/requirements.txt"
fi
(
    cd "$tree"
    find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >"$work/sums"
    sha256sum dist/SHA256SUMS >>"$work/sums"
    mv "$work/sums" SHA256SUMS
)
# beside its place and renamed when whole
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" --mode=u+rw,go+r,go-w \
    -C "$work" -cf "$out.$$" "reaper-$version"
if [ "${out%/*}" = "$top/dist" ]; then find dist -maxdepth 1 -name 'reaper-*-airgap.tar' -delete; fi
mv "$out.$$" "$out"
echo "$out"
