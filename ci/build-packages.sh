#!/bin/bash
# Builds the packages of this checkout.
#
#   ci/build-packages.sh deb            build dist/reaper_VERSION_ARCH.deb; prints its path
#   ci/build-packages.sh rpm            build dist/reaper-VERSION-1.ARCH.rpm, from the same programs
#   ci/build-packages.sh all            both
#   ci/build-packages.sh --plan KIND    print the Debian packages it would install; changes nothing
#
# The build runs in a staged copy with debian/ at its root, so the checkout stays clean. The same
# sources give the same bytes, whoever builds and where (SOURCE_DATE_EPOCH is the time of their last
# commit), and sources that were built before are taken from $REAPER_CI_STATE/packages.
# With `all` dist/ also gets reaper-VERSION-ARCH.spdx.json, the bill of materials, and SHA256SUMS.
# A commit that is not tagged vVERSION gets VERSION~DATE.COMMIT, so that apt sees what is newer;
# uncommitted changes add a hash of themselves.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

# What a package is made of: a change elsewhere makes no new package.
sources=(CMakeLists.txt LICENSE cmake proto src packaging kubernetes/runtimeclass.yaml)

plan=0
if [ "${1:-}" = --plan ]; then
    plan=1
    shift
fi
kind=${1:-}
case $kind in
deb | rpm | all) ;;
'') die "which kind of package? (deb, rpm or all)" ;;
*) die "unknown kind of package: $kind (known: deb, rpm, all)" ;;
esac
[ $# = 1 ] || die "unknown argument: $2"

top=$(source_dir)
cd "$top"

# The names of the build dependencies as debian/control has them, so that there is one list.
build_depends() {
    sed -n '/^Build-Depends:/,/^[^ ]/p' packaging/debian/control |
        sed -n -E 's/^(Build-Depends:)? +([a-z0-9.+-]+).*/\2/p' |
        sed 's/^debhelper-compat$/debhelper/'
    echo build-essential
    echo fakeroot
    [ "$kind" = deb ] || echo rpm
}

mapfile -t needed < <(build_depends)
if [ "$plan" = 1 ]; then
    apt_missing "${needed[@]}"
    exit 0
fi

# root may build in somebody else's checkout
repo() { git -c safe.directory='*' "$@"; }

# Prints "EPOCH VERSION-SUFFIX" of the sources.
source_version() {
    local epoch commit base=$1 dirty
    if ! repo rev-parse --git-dir >/dev/null 2>&1; then
        # an unpacked archive: what the changelog says
        date -d "$(sed -n 's/^ -- .*>  //p' packaging/debian/changelog | head -n 1)" +%s
        return
    fi
    read -r epoch commit < <(repo log -1 --format='%ct %h' --abbrev=10 -- "${sources[@]}")
    dirty=$(repo status --porcelain --untracked-files=all -- "${sources[@]}")
    if [ -z "$dirty" ] && repo tag --points-at HEAD | grep -qxF "v$base"; then
        echo "$epoch"
        return
    fi
    echo "$epoch ~$(date -u -d "@$epoch" +%Y%m%d%H%M%S).$commit"
}

stage() {
    if repo rev-parse --git-dir >/dev/null 2>&1; then
        # files that are deleted but still in the index are no sources
        repo ls-files -z --cached --others --exclude-standard -- "${sources[@]}" |
            while IFS= read -r -d '' file; do
                if [ -e "$file" ]; then printf '%s\0' "$file"; fi
            done
    else
        find "${sources[@]}" -type f -print0
    fi | sort -z | tar --null --files-from=- --mode=u+rw,go+r,go-w --owner=0 --group=0 \
        --numeric-owner --mtime="@$1" -cf - | tar -xf - -C "$2" --no-same-owner
}

base=$(sed -n '1s/.*(\([^)]*\)).*/\1/p' packaging/debian/changelog)
read -r epoch suffix < <(source_version "$base")
arch=$(dpkg --print-architecture)

work=$(mktemp -d "${TMPDIR:-/tmp}/reaper-package.XXXXXX")
trap 'rm -rf "$work"' EXIT
umask 022
mkdir "$work/reaper"
stage "$epoch" "$work/reaper"
cp "$here/${0##*/}" "$work/recipe"
hash=$(cd "$work" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-10)
if [ -n "${suffix:-}" ] && [ -n "$(repo status --porcelain --untracked-files=all -- "${sources[@]}")" ]; then
    suffix=$suffix.$hash
fi
version=$base${suffix:-}
package=reaper_${version}_$arch.deb
kept=$REAPER_CI_STATE/packages/$hash/$package

if [ ! -e "$kept" ]; then
    need_root_for=$(apt_missing "${needed[@]}")
    [ -z "$need_root_for" ] || need_root
    apt_install "${needed[@]}"
    say "building $package"
    mv "$work/reaper/packaging/debian" "$work/reaper/debian"
    if [ -n "${suffix:-}" ]; then
        {
            printf 'reaper (%s) unstable; urgency=medium\n\n  * Built between releases.\n\n' \
                "$version"
            printf ' -- Reaper maintainers <maintainers@reaper.invalid>  %s\n\n' \
                "$(LC_ALL=C date -u -R -d "@$epoch")"
            cat "$work/reaper/debian/changelog"
        } >"$work/changelog"
        mv "$work/changelog" "$work/reaper/debian/changelog"
    fi
    (
        cd "$work/reaper"
        jobs=$(nproc)
        export SOURCE_DATE_EPOCH=$epoch TZ=UTC LC_ALL=C.UTF-8
        export DEB_BUILD_OPTIONS="nocheck parallel=$jobs"
        unset CFLAGS CPPFLAGS CXXFLAGS LDFLAGS
        dpkg-buildpackage --build=binary --no-sign </dev/null
    ) >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        die "the package could not be built"
    }
    mkdir -p "${kept%/*}"
    # by rename: another run may take it at the same time
    cp "$work/$package" "$kept.$$"
    mv "$kept.$$" "$kept"
fi

# The programs and pages of the deb in the places of an rpm.
rpm_root() {
    local deb=$1 root=$2
    dpkg-deb -x "$deb" "$root/deb"
    mkdir -p "$root/rpm"/{etc/reaper,usr/lib/systemd/system-preset,usr/lib/systemd/system} \
        "$root/rpm"/usr/share/{doc/reaper,licenses/reaper,selinux/packages/reaper,zsh/site-functions}
    cp -a "$root/deb/etc/reaper/reaper.conf" "$root/deb/etc/reaper/policy.d" "$root/rpm/etc/reaper/"
    cp -a "$root/deb/usr/bin" "$root/rpm/usr/"
    cp -a "$root/deb/usr/share"/{bash-completion,fish,man} "$root/rpm/usr/share/"
    cp -a "$root/deb/usr/share/zsh/vendor-completions/_reaperctl" "$root/rpm/usr/share/zsh/site-functions/"
    cp packaging/common/reaper-boot.service "$root/rpm/usr/lib/systemd/system/"
    cp packaging/common/50-reaper.preset "$root/rpm/usr/lib/systemd/system-preset/"
    cp packaging/common/reaper.cil "$root/rpm/usr/share/selinux/packages/reaper/"
    cp LICENSE "$root/rpm/usr/share/licenses/reaper/"
    zcat -f "$root/deb/usr/share/doc/reaper"/NOTICES* >"$root/rpm/usr/share/licenses/reaper/NOTICES"
    cp kubernetes/runtimeclass.yaml "$root/rpm/usr/share/doc/reaper/"
    find "$root/rpm" -type f ! -path '*/bin/*' -exec chmod 0644 {} +
}

maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
# xz, which every rpm since EL 7 reads; name and time of the building machine must not matter.
build_rpm() {
    say "building $rpm"
    mkdir "$work/rpm"
    rpm_root "$kept" "$work/rpm"
    SOURCE_DATE_EPOCH=$epoch rpmbuild -bb --target "$rpm_arch" --nodeps \
        --define "_topdir $work/rpm/top" --define "prebuilt_root $work/rpm/rpm" \
        --define "reaper_version $version" --define "_binary_payload w6.xzdio" \
        --define "_buildhost reproducible" --define "packager $maintainer" --define "use_source_date_epoch_as_buildtime 1" \
        --define "clamp_mtime_to_source_date_epoch 1" --define "_rpmdir $work/rpm/out" \
        packaging/rpm/reaper.spec >"$work/rpm/log" 2>&1 </dev/null || {
        tail -n 40 "$work/rpm/log" >&2
        die "the rpm could not be built"
    }
    cp "$work/rpm/out/$rpm_arch/$rpm" "${kept%/*}/$rpm.$$"
    mv "${kept%/*}/$rpm.$$" "${kept%/*}/$rpm"
}

# deliver FILE PATTERN: into dist/; one package of each architecture, so that nobody installs yesterday's.
deliver() {
    local file=${1##*/}
    mkdir -p dist
    find dist -maxdepth 1 -name "$2" ! -name "$file" -delete
    cmp -s "$1" "dist/$file" || cp "$1" "dist/$file"
    echo "$top/dist/$file"
}

if [ "$kind" != rpm ]; then deliver "$kept" "reaper_*_$arch.deb"; fi
if [ "$kind" != deb ]; then
    case $arch in
    amd64) rpm_arch=x86_64 ;;
    arm64) rpm_arch=aarch64 ;;
    *) die "no rpm for the architecture $arch (known: amd64, arm64)" ;;
    esac
    rpm=reaper-$version-1.$rpm_arch.rpm
    [ -e "${kept%/*}/$rpm" ] || build_rpm
    deliver "${kept%/*}/$rpm" "reaper-*.$rpm_arch.rpm"
fi
if [ "$kind" = all ]; then
    sbom=reaper-$version-$arch.spdx.json
    find dist -maxdepth 1 -name "reaper-*-$arch.spdx.json" ! -name "$sbom" -delete
    "$here/sbom.py" "$version" "$arch" "$epoch" "dist/$package" "dist/$rpm" >"dist/$sbom"
    (cd dist && sha256sum -- *.deb *.rpm *.spdx.json >SHA256SUMS)
    echo "$top/dist/$sbom"
    echo "$top/dist/SHA256SUMS"
fi
