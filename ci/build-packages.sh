#!/bin/bash
# Builds the packages of this checkout.
#
#   ci/build-packages.sh [--arch ARCH] deb   build dist/reaper_VERSION_ARCH.deb; prints what it made
#   ci/build-packages.sh [--arch ARCH] rpm   build dist/reaper-VERSION-1.ARCH.rpm, from the same programs
#   ci/build-packages.sh [--arch ARCH] all   both, with the bill of materials and the checksums
#   ci/build-packages.sh --plan …            print the Debian packages it would install; changes nothing
#
#   --arch ARCH   amd64, arm64, or all for both (default: this machine's). The other architecture is
#                 cross-built (ci/cross-root.sh).
#
# The build runs in a staged copy with debian/ at its root, so the checkout stays clean. The same
# sources give the same bytes, whoever builds and where (SOURCE_DATE_EPOCH is the time of their last
# commit), and sources that were built before are taken from $REAPER_CI_STATE/packages, where the
# log of the build lies too. The debug symbols are in dist/debug: reaper-dbgsym and reaper-debuginfo.
# With `all` dist/ also gets reaper-VERSION-ARCH.spdx.json, the bill of materials, and SHA256SUMS.
# A commit that is not tagged vVERSION gets VERSION~DATE.COMMIT, so that apt sees what is newer;
# uncommitted changes add a hash of themselves.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

# What a package is made of: a change elsewhere makes no new package.
sources=(CMakeLists.txt LICENSE cmake proto src packaging kubernetes/runtimeclass.yaml)

own=$(dpkg --print-architecture)
plan=0 kind='' archs=$own
while [ $# -gt 0 ]; do
    case $1 in
    --plan) plan=1 ;;
    --arch)
        [ $# -ge 2 ] || die "--arch needs a value (amd64, arm64 or all)"
        case $2 in
        amd64 | arm64) archs=$2 ;;
        all) archs="amd64 arm64" ;;
        *) die "unknown architecture: $2 (known: amd64, arm64, all)" ;;
        esac
        shift
        ;;
    deb | rpm | all)
        [ -z "$kind" ] || die "more than one kind of package: $kind and $1 (all makes both)"
        kind=$1
        ;;
    -h | --help)
        script_help
        exit 0
        ;;
    -*) die "unknown argument: $1 (try --help)" ;;
    *) die "unknown kind of package: $1 (known: deb, rpm, all)" ;;
    esac
    shift
done
[ -n "$kind" ] || die "which kind of package? (deb, rpm or all)"

top=$(source_dir)
cd "$top"

# The names of the build dependencies as debian/control has them, so that there is one list.
build_depends() {
    sed -n '/^Build-Depends:/,/^[^ ]/p' packaging/debian/control |
        sed -n -E 's/^(Build-Depends:)? +([a-z0-9.+-]+).*/\2/p' |
        sed 's/^debhelper-compat$/debhelper/'
    echo build-essential
    echo fakeroot
    echo python3 # ci/sbom.py
    [ "$kind" = deb ] || echo rpm
}

mapfile -t needed < <(build_depends)
if [ "$plan" = 1 ]; then
    {
        apt_missing "${needed[@]}"
        for arch in $archs; do
            [ "$arch" = "$own" ] || "$here/cross-root.sh" --plan "$arch"
        done
    } | sort -u
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

work=$(mktemp -d "${TMPDIR:-/tmp}/reaper-package.XXXXXX")
trap 'rm -rf "$work"' EXIT
umask 022
mkdir "$work/source"
stage "$epoch" "$work/source"
cp "$here/${0##*/}" "$here/cross-root.sh" "$work"
hash=$(cd "$work" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-10)
if [ -n "${suffix:-}" ] && [ -n "$(repo status --porcelain --untracked-files=all -- "${sources[@]}")" ]; then
    suffix=$suffix.$hash
fi
version=$base${suffix:-}

cp -a "$work/source/packaging/debian" "$work/source/debian"
if [ -n "${suffix:-}" ]; then
    {
        printf 'reaper (%s) unstable; urgency=medium\n\n  * Built between releases.\n\n' "$version"
        printf ' -- Reaper maintainers <maintainers@reaper.invalid>  %s\n\n' \
            "$(LC_ALL=C date -u -R -d "@$epoch")"
        cat "$work/source/debian/changelog"
    } >"$work/changelog"
    mv "$work/changelog" "$work/source/debian/changelog"
fi
kept=$REAPER_CI_STATE/packages/$hash
mkdir -p "$kept"

# keep FILE…: into the cache, by rename: another run may take it at the same time.
keep() {
    local file
    for file in "$@"; do
        cp "$file" "$kept/${file##*/}.$$"
        mv "$kept/${file##*/}.$$" "$kept/${file##*/}"
    done
}

# build_deb ARCH DEB: the package last, for it says that all is there.
build_deb() {
    local arch=$1 deb=$2 need_root_for build=$work/$1
    need_root_for=$(apt_missing "${needed[@]}")
    [ -z "$need_root_for" ] || need_root
    apt_install "${needed[@]}"
    if [ "$arch" = "$own" ]; then unset REAPER_SYSROOT; else
        REAPER_SYSROOT=$("$here/cross-root.sh" "$arch")
        export REAPER_SYSROOT
    fi
    say "building $deb"
    mkdir "$build"
    cp -a "$work/source" "$build/reaper"
    (
        cd "$build/reaper"
        jobs=$(nproc)
        export SOURCE_DATE_EPOCH=$epoch TZ=UTC LC_ALL=C.UTF-8
        export DEB_BUILD_OPTIONS="nocheck parallel=$jobs"
        unset CFLAGS CPPFLAGS CXXFLAGS LDFLAGS
        # the libraries of another architecture are not in this machine's database: no -d, no build
        options=()
        [ "$arch" = "$own" ] || options=(-d)
        dpkg-buildpackage --host-arch "$arch" "${options[@]}" --build=binary --no-sign </dev/null
    ) >"$build/${deb%.deb}.log" 2>&1 || {
        tail -n 40 "$build/${deb%.deb}.log" >&2
        die "the package could not be built"
    }
    "$here/sbom.py" libraries "$arch" >"$build/${deb%.deb}.libraries"
    keep "$build/${deb%.deb}".{log,libraries} "$build/${deb/reaper_/reaper-dbgsym_}" "$build/$deb"
}

# The programs and pages of the deb in the places of an rpm.
rpm_root() {
    local deb=$1 root=$2
    dpkg-deb -x "$deb" "$root/deb"
    dpkg-deb -x "${deb/reaper_/reaper-dbgsym_}" "$root/debug"
    mkdir -p "$root/rpm"/{etc/reaper,usr/lib/systemd/system-preset,usr/lib/systemd/system,usr/lib/debug} \
        "$root/rpm"/usr/share/{doc/reaper,licenses/reaper,selinux/packages/reaper,zsh/site-functions}
    cp -a "$root/debug/usr/lib/debug/.build-id" "$root/rpm/usr/lib/debug/"
    cp -a "$root/deb/etc/reaper/reaper.conf" "$root/deb/etc/reaper/policy.d" "$root/rpm/etc/reaper/"
    cp -a "$root/deb/usr/bin" "$root/rpm/usr/"
    cp -a "$root/deb/usr/share"/{bash-completion,fish,man,reaper} "$root/rpm/usr/share/"
    cp -a "$root/deb/usr/share/zsh/vendor-completions/_reaperctl" "$root/rpm/usr/share/zsh/site-functions/"
    cp packaging/common/reaper-{boot.service,metrics.service,metrics.timer} "$root/rpm/usr/lib/systemd/system/"
    cp packaging/common/50-reaper.preset "$root/rpm/usr/lib/systemd/system-preset/"
    cp packaging/common/reaper.cil "$root/rpm/usr/share/selinux/packages/reaper/"
    cp LICENSE "$root/rpm/usr/share/licenses/reaper/"
    zcat -f "$root/deb/usr/share/doc/reaper"/NOTICES* >"$root/rpm/usr/share/licenses/reaper/NOTICES"
    cp kubernetes/runtimeclass.yaml "$root/rpm/usr/share/doc/reaper/"
    find "$root/rpm" -type f ! -path '*/bin/*' -exec chmod 0644 {} +
}

maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
# build_rpm RPM-ARCH DEB RPM: xz, which every rpm since EL 7 reads; name and time of the building machine
# must not matter.
build_rpm() {
    local rpm_arch=$1 deb=$2 rpm=$3 build=$work/$1
    say "building $rpm"
    mkdir "$build"
    rpm_root "$kept/$deb" "$build"
    SOURCE_DATE_EPOCH=$epoch rpmbuild -bb --target "$rpm_arch" --nodeps \
        --define "_topdir $build/top" --define "prebuilt_root $build/rpm" \
        --define "reaper_version $version" --define "_binary_payload w6.xzdio" \
        --define "_buildhost reproducible" --define "packager $maintainer" --define "use_source_date_epoch_as_buildtime 1" \
        --define "clamp_mtime_to_source_date_epoch 1" --define "_rpmdir $build/out" \
        packaging/rpm/reaper.spec >"$build/log" 2>&1 </dev/null || {
        tail -n 40 "$build/log" >&2
        die "the rpm could not be built"
    }
    keep "$build/out/$rpm_arch/${rpm/reaper-/reaper-debuginfo-}" "$build/out/$rpm_arch/$rpm"
}

# deliver FILE PATTERN [DIR]: into dist/; one package of each architecture, so that nobody installs yesterday's.
deliver() {
    local file=${1##*/} directory=dist${3:+/$3}
    mkdir -p "$directory"
    find "$directory" -maxdepth 1 -name "$2" ! -name "$file" -delete
    cmp -s "$1" "$directory/$file" || cp "$1" "$directory/$file"
    echo "$top/$directory/$file"
}

for arch in $archs; do
    case $arch in
    amd64) rpm_arch=x86_64 ;;
    arm64) rpm_arch=aarch64 ;;
    *) die "no packages for the architecture $arch (known: amd64, arm64)" ;;
    esac
    deb=reaper_${version}_$arch.deb rpm=reaper-$version-1.$rpm_arch.rpm
    [ -e "$kept/$deb" ] || build_deb "$arch" "$deb"
    if [ "$kind" != rpm ]; then
        deliver "$kept/$deb" "reaper_*_$arch.deb"
        deliver "$kept/${deb/reaper_/reaper-dbgsym_}" "reaper-dbgsym_*_$arch.deb" debug
    fi
    [ "$kind" != deb ] || continue
    [ -e "$kept/$rpm" ] || build_rpm "$rpm_arch" "$deb" "$rpm"
    deliver "$kept/$rpm" "reaper-*.$rpm_arch.rpm"
    deliver "$kept/${rpm/reaper-/reaper-debuginfo-}" "reaper-debuginfo-*.$rpm_arch.rpm" debug
    [ "$kind" = all ] || continue
    sbom=reaper-$version-$arch.spdx.json
    find dist -maxdepth 1 -name "reaper-*-$arch.spdx.json" ! -name "$sbom" -delete
    "$here/sbom.py" document "$version" "$arch" "$epoch" "$kept/${deb%.deb}.libraries" \
        "dist/$deb" "dist/$rpm" >"dist/$sbom"
    echo "$top/dist/$sbom"
done
# one that is there would keep install-reaper.sh from what is not in it
if [ "$kind" = all ] || [ -e dist/SHA256SUMS ]; then
    (cd dist && find . -type f ! -name 'SHA256SUMS*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
    echo "$top/dist/SHA256SUMS"
fi
