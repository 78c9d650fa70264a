"""Nodes whose containerd is no package of the distribution: kind's, k3s's. Our package brings no second one."""

import pathlib
import shutil

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import run

pytestmark = pytest.mark.submission("a second containerd on a node of k3s is an outage; ten seconds each")

K3S = "/var/lib/rancher/k3s"
OFFERED = "/root/offered"


def as_kind_has_it(node, remove):
    """containerd's files in /usr/local, and no package knows of them."""
    node.run("sh", "-ec", f"""
        systemctl stop containerd
        cp /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/local/bin/
        sed s,/usr/bin/containerd,/usr/local/bin/containerd, /lib/systemd/system/containerd.service >/root/containerd.service
        cp {CONFIG} /root/config.toml
        {remove} >/dev/null 2>&1
        mkdir -p /etc/containerd
        mv /root/containerd.service /etc/systemd/system/
        mv /root/config.toml {CONFIG}
        systemctl daemon-reload""", timeout=120)
    node.start_containerd()


def offer_deb(node, directory):
    """apt knows a package that is called containerd, newer than any."""
    tree = directory / "containerd"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: containerd\nVersion: 99\nArchitecture: all\nMaintainer: x <x@reaper.invalid>\nDescription: x\n")  # fmt: skip
    place = directory / "offered"
    place.mkdir()
    run(["dpkg-deb", "-b", tree, place / "containerd_99_all.deb"])
    (place / "Packages").write_text(run(["apt-ftparchive", "packages", "."], cwd=place).stdout)
    shutil.copytree(place, node.path(OFFERED))
    node.path("/etc/apt/sources.list.d/offered.list").write_text(f"deb [trusted=yes] file:{OFFERED} ./\n")
    node.run("apt-get", "-q", "update", "-o", "Dir::Etc::SourceList=/dev/null", timeout=120)
    assert "Candidate: 99" in node.run("apt-cache", "policy", "containerd").stdout


def packages(node, query):
    return set(node.run(*query).stdout.splitlines())


DPKG = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]
RPM = ["rpm", "-qa", "--qf", "%{NAME}\n"]


def test_apt_brings_no_second_containerd(stock, tmp_path):
    node = stock("bookworm")
    as_kind_has_it(node, "dpkg --purge containerd")
    offer_deb(node, tmp_path)
    shutil.copy(package(), node.path("/root/reaper.deb"))
    before = packages(node, DPKG)
    config = file_state(node.path(CONFIG))
    said = node.run("apt-get", "-q", "-y", "-o", "APT::Install-Recommends=1", "install", "/root/reaper.deb", timeout=300)
    assert "reaper: warning" not in said.stdout + said.stderr, said.stdout + said.stderr
    assert packages(node, DPKG) - before == {"reaper installed"}
    assert_serves(node)
    node.run("apt-get", "-q", "-y", "purge", "reaper", timeout=300)
    assert file_state(node.path(CONFIG)) == config
    assert_does_not_serve(node)


def test_dnf_brings_no_second_containerd(stock):
    node = stock("rpm")
    as_kind_has_it(node, "dnf -y --disablerepo='*' remove containerd")
    node.run("createrepo_c", "--quiet", "/root/rpms")
    node.path("/etc/yum.repos.d").mkdir(exist_ok=True)
    node.path("/etc/yum.repos.d/offered.repo").write_text("[offered]\nname=offered\nbaseurl=file:///root/rpms\ngpgcheck=0\n")
    shutil.copy(package("rpm"), node.path("/root/reaper.rpm"))
    dnf = ["dnf", "-y", "--releasever=1", "--setopt=reposdir=/etc/yum.repos.d", "--setopt=install_weak_deps=1"]
    assert "containerd" in node.run(*dnf, "list", "--available", timeout=120).stdout
    before = packages(node, RPM)
    said = node.run(*dnf, "install", "/root/reaper.rpm", timeout=300)
    assert "reaper: warning" not in said.stdout + said.stderr, said.stdout + said.stderr
    assert packages(node, RPM) - before == {"reaper"}
    assert_serves(node)


def test_a_node_of_k3s(stock):
    """Its containerd is on nobody's PATH, and its configuration is rendered at every start."""
    node = stock("bookworm")
    rendered = f"{K3S}/agent/etc/containerd/config.toml"
    node.run("sh", "-ec", f"""
        systemctl stop containerd
        mkdir -p {K3S}/data/current/bin {K3S}/agent/etc/containerd
        cp /usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr {K3S}/data/current/bin/
        cp {CONFIG} /root/base.toml
        dpkg --purge containerd >/dev/null 2>&1
        cat >/etc/systemd/system/k3s.service <<'UNIT'
[Service]
Type=notify
Environment=PATH={K3S}/data/current/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStartPre=/bin/sh -c 't={rendered}.tmpl; if [ -e $t ]; then sed -e /template/r/root/base.toml -e /template/d $t; else cat /root/base.toml; fi >{rendered}'
ExecStart={K3S}/data/current/bin/containerd --config {rendered}
KillMode=process
Delegate=yes
UNIT
        systemctl daemon-reload
        systemctl start k3s""", timeout=120)
    node.wait_for_cri()
    base = node.path(rendered).read_bytes()
    shutil.copy(package(), node.path("/root/reaper.deb"))
    said = node.run("apt-get", "-q", "-y", "install", "/root/reaper.deb", timeout=300)
    assert "reaper: warning" not in said.stdout + said.stderr, said.stdout + said.stderr
    assert node.path(rendered + ".tmpl").read_text().startswith('{{ template "base" . }}\n')
    assert_serves(node)
    assert not pathlib.Path(node.path(CONFIG)).exists()
    node.run("apt-get", "-q", "-y", "purge", "reaper", timeout=300)
    assert not node.path(rendered + ".tmpl").exists() and node.path(rendered).read_bytes() == base
    assert_does_not_serve(node)
