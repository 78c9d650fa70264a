#!/bin/sh
# Run once inside a bookworm node: makes its containerd an rpm, in a database of rpm's that has
# nothing else but what packages ask of a base system. The packages stay in /root/rpms:
#   containerd-1.6.20-1   installed
#   containerd-1.6.20-2   the next one: another program (one byte more) and another config.toml
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends rpm dnf createrepo-c gpg </dev/null

mkdir -p /root/rpms /root/build
cd /root/build
list() { dpkg -L containerd runc | while read -r path; do [ -d "$path" ] || echo "$path"; done | grep -v /usr/share/; }
list >files
tar -cf files.tar -T files

cat >base.spec <<'SPEC'
Name: base-system
Version: 1
Release: 1
Summary: What packages ask of a base system
License: none
BuildArch: noarch
Provides: /bin/sh
Provides: /usr/bin/sh
Provides: systemd
%description
What packages ask of a base system.
%files
SPEC

cat >containerd.spec <<'SPEC'
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
Name: containerd
Version: 1.6.20
Release: %{next}
Summary: Container runtime
License: ASL 2.0
AutoReqProv: no
%description
Container runtime.
%install
mkdir -p %{buildroot}
tar -C %{buildroot} -xf /root/build/files.tar
if [ %{next} = 2 ]; then
    printf x >>%{buildroot}/usr/bin/containerd
    printf '\n# of the next package\n' >>%{buildroot}/etc/containerd/config.toml
fi
%post
if [ "$1" = 1 ]; then systemctl --no-reload preset containerd.service >/dev/null 2>&1 || :; fi
%preun
if [ "$1" = 0 ]; then systemctl --no-reload disable --now containerd.service >/dev/null 2>&1 || :; fi
%postun
if [ "$1" -ge 1 ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl try-restart containerd.service; fi
%files
%config(noreplace) /etc/containerd/config.toml
SPEC
grep -v '^/etc/containerd/config.toml$' files | sort -u >>containerd.spec

rpmbuild -bb --define '_rpmdir /root/rpms' --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.rpm' base.spec
for next in 1 2; do
    rpmbuild -bb --define "next $next" --define '_rpmdir /root/rpms' \
        --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.rpm' containerd.spec
done

dpkg --purge containerd
dpkg --purge --force-depends runc
rpm --initdb
rpm -i /root/rpms/base-system-1-1.rpm /root/rpms/containerd-1.6.20-1.rpm
# what a preset does where systemd runs
systemctl enable containerd.service
test -e /etc/containerd/config.toml
rm -rf /root/build /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
