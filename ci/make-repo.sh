#!/bin/bash
# Makes signed apt and dnf repositories from a directory of packages.
#
#   ci/make-repo.sh --packages DIR --out DIR --key KEY [--url URL] [--gnupg-home DIR]
#
#   --packages DIR     the debs and rpms (dist/ after ci/build-packages.sh all); they are not changed. Where
#                      a SHA256SUMS lies with them, only what has its hash there is signed
#   --out DIR          a directory that is not there yet, or one this script made: it is replaced whole
#   --key KEY          fingerprint or address of the signing key in gpg's keyring
#   --url URL          where OUT will be reached (default: file://OUT); only the client files name it
#   --gnupg-home DIR   gpg's keyring (default: gpg's own)
#
# OUT holds apt/ (dists/stable, pool), dnf/ (signed copies of the rpms, signed repodata), reaper.asc (the
# public key), reaper.sources and reaper.repo (what a node needs in /etc/apt/sources.list.d and
# /etc/yum.repos.d; the key goes to /etc/apt/keyrings/reaper.asc), and SHA256SUMS with its signature.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

packages='' out='' key='' url=''
while [ $# -gt 0 ]; do
    case $1 in
    --packages | --out | --key | --url | --gnupg-home) [ $# -ge 2 ] || die "$1 needs a value" ;;
    -h | --help)
        script_help
        exit 0
        ;;
    *) die "unknown argument: $1 (try --help)" ;;
    esac
    case $1 in
    --packages) packages=$2 ;;
    --out) out=$2 ;;
    --key) key=$2 ;;
    --url) url=${2%/} ;;
    --gnupg-home) export GNUPGHOME=$2 ;;
    esac
    shift 2
done
[ -n "$packages" ] && [ -n "$out" ] && [ -n "$key" ] || die "--packages, --out and --key are needed (try --help)"
[ -d "$packages" ] || die "no such directory: $packages"
shopt -s nullglob
debs=("$packages"/*.deb) rpms=("$packages"/*.rpm)
[ $((${#debs[@]} + ${#rpms[@]})) -gt 0 ] || die "$packages has neither debs nor rpms"
[ ! -e "$out" ] || [ -e "$out/.made-by-make-repo" ] || die "$out is there already, and not this script's"
missing=()
for program in apt-ftparchive createrepo_c gpg rpmsign xz; do
    command -v "$program" >/dev/null || missing+=("$program")
done
[ "${#missing[@]}" = 0 ] || die "missing: ${missing[*]} (Debian: apt-get install apt-utils createrepo-c gpg rpm xz-utils)"
fingerprint=$(gpg --batch --with-colons --list-secret-keys "$key" 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }') || true
[ -n "$fingerprint" ] || die "gpg has no secret key for: $key"
sign() { gpg --batch --yes --local-user "$fingerprint" --digest-algo SHA256 "$@"; }

mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
url=${url:-file://$out}
# made beside its place and renamed when whole: a client never sees half of it
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
touch "$work/.made-by-make-repo"
gpg --batch --armor --export "$fingerprint" >"$work/reaper.asc"

# compare DIR: the copies that are about to be signed, with the hashes of the build
compare() {
    local file name wanted
    [ -e "$packages/SHA256SUMS" ] || return 0
    for file in "$1"/*; do
        name=${file##*/}
        wanted=$(awk -v name="$name" '{ sub(/^\*/, "", $2) } $2 == name { print $1 }' "$packages/SHA256SUMS")
        [ -n "$wanted" ] || die "$name is not in $packages/SHA256SUMS, and is not signed"
        [ "$(sha256sum <"$file")" = "$wanted  -" ] || die "$name has not the hash of $packages/SHA256SUMS, and is not signed"
    done
}

make_apt() {
    local arch archs directory
    mkdir -p "$work/apt/pool"
    cp "${debs[@]}" "$work/apt/pool/"
    compare "$work/apt/pool"
    archs=$(for deb in "${debs[@]}"; do dpkg-deb -f "$deb" Architecture; done | sort -u)
    (
        cd "$work/apt"
        for arch in $archs; do
            directory=dists/stable/main/binary-$arch
            mkdir -p "$directory"
            apt-ftparchive --arch "$arch" packages pool >"$directory/Packages"
            xz -k "$directory/Packages"
        done
        apt-ftparchive -o APT::FTPArchive::Release::Origin=Reaper -o APT::FTPArchive::Release::Suite=stable \
            -o APT::FTPArchive::Release::Codename=stable -o APT::FTPArchive::Release::Components=main \
            -o "APT::FTPArchive::Release::Architectures=$(tr '\n' ' ' <<<"$archs" | sed 's/ $//')" \
            release dists/stable >Release
        mv Release dists/stable/
        sign --clearsign --output dists/stable/InRelease dists/stable/Release
        sign --armor --detach-sign --output dists/stable/Release.gpg dists/stable/Release
    )
    cat >"$work/reaper.sources" <<END
Types: deb
URIs: $url/apt
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/reaper.asc
END
}

make_dnf() {
    mkdir -p "$work/dnf"
    cp "${rpms[@]}" "$work/dnf/"
    compare "$work/dnf"
    rpmsign --define "__gpg $(command -v gpg)" --define "_gpg_name $fingerprint" ${GNUPGHOME:+--define "_gpg_path $GNUPGHOME"} \
        --addsign "$work"/dnf/*.rpm >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        die "the rpms could not be signed"
    }
    rm "$work/log"
    createrepo_c --quiet "$work/dnf"
    sign --armor --detach-sign --output "$work/dnf/repodata/repomd.xml.asc" "$work/dnf/repodata/repomd.xml"
    cp "$work/reaper.asc" "$work/dnf/"
    cat >"$work/reaper.repo" <<END
[reaper]
name=Reaper
baseurl=$url/dnf
gpgkey=$url/dnf/reaper.asc
gpgcheck=1
repo_gpgcheck=1
enabled=1
END
}

[ "${#debs[@]}" = 0 ] || make_apt
[ "${#rpms[@]}" = 0 ] || make_dnf
(cd "$work" && find . -type f ! -name 'SHA256SUMS*' ! -name '.made-*' -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
sign --armor --detach-sign --output "$work/SHA256SUMS.asc" "$work/SHA256SUMS"
[ ! -e "$out" ] || mv -T "$out" "$work.old"
mv -T "$work" "$out"
rm -rf "$work.old"
echo "$out"
