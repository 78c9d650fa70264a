"""dnf inside a pod, on a node whose packages are rpms: what it writes is the group's, the node's database stays as it is."""

import pytest

from trees import remove_tree

pytestmark = pytest.mark.full("a node with rpm and dnf: half a minute")

REPOSITORY = "/srv/reaper-test-repository"
SPEC = """
Name: reaper-test
Version: {version}
Release: 1
Summary: What packages of a distribution do
License: none
BuildArch: noarch
Requires: reaper-test-library
%description
A program, its user, its service, a file where the node has a secret.
%package -n reaper-test-library
Summary: What it needs
%description -n reaper-test-library
What it needs.
%install
mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/usr/share/reaper-test %{{buildroot}}/etc/sudoers.d %{{buildroot}}/lib/systemd/system
printf '#!/bin/sh\\nid -un reaper-pkg; cat /usr/share/reaper-test/word\\n' >%{{buildroot}}/usr/bin/reaper-test
echo 'version {version}' >%{{buildroot}}/usr/share/reaper-test/word
echo '# from the package' >%{{buildroot}}/etc/sudoers.d/reaper-test
printf '[Service]\\nExecStart=/usr/bin/reaper-test\\n[Install]\\nWantedBy=multi-user.target\\n' \\
    >%{{buildroot}}/lib/systemd/system/reaper-test.service
%pre
getent passwd reaper-pkg >/dev/null || useradd --system --no-create-home reaper-pkg
%post
if [ "$1" = 1 ]; then systemctl --no-reload preset reaper-test.service >/dev/null 2>&1 || :; fi
%postun
if [ "$1" = 0 ]; then userdel reaper-pkg; fi
%files
%attr(755, root, root) /usr/bin/reaper-test
/etc/sudoers.d/reaper-test
/lib/systemd/system/reaper-test.service
%files -n reaper-test-library
/usr/share/reaper-test/word
"""
DNF = f"dnf -y --disablerepo='*' --repofrompath=test,file://{REPOSITORY} --setopt=gpgcheck=0"


@pytest.fixture
def node(checked):
    return checked("rpm")


@pytest.fixture
def repository(node):
    """Two versions of a package and of what it needs."""
    top = node.path(REPOSITORY)
    top.mkdir()
    for version in (1, 2):
        (top / f"{version}.spec").write_text(SPEC.format(version=version))
        node.run("rpmbuild", "-bb", "--define", f"_topdir {REPOSITORY}/build", "--define", f"_rpmdir {REPOSITORY}",
                 f"{REPOSITORY}/{version}.spec", timeout=120)  # fmt: skip
    remove_tree(top / "build")
    node.run("createrepo_c", "-q", REPOSITORY)
    yield
    remove_tree(top)


def state_of(node):
    """What an installation that leaks would change."""
    return node.run("sh", "-c", """find /etc /usr /lib/systemd /var/lib/rpm /var/lib/dnf /var/cache/dnf -xdev -newer /srv/reaper-test-repository \\
        ! -path '*/__pycache__*'; sha256sum /etc/passwd /etc/shadow /etc/group; find /var/lib/rpm -type f -exec sha256sum {} +; ls -R /etc""").stdout  # fmt: skip


def test_dnf_installs_upgrades_and_removes(node, pods, repository):
    before = state_of(node)
    pod = pods.sandbox()

    def dnf(words):
        code, text = pod.run("/bin/sh", "-c", f"{DNF} {words} >/tmp/log 2>&1 || {{ cat /tmp/log; exit 1; }}")
        assert code == 0, text

    def found(script):
        """In another pod of the group."""
        return pods.sandbox().run("/bin/sh", "-c", script)[1]

    dnf("install reaper-test-1 reaper-test-library-1")
    look = "rpm -q reaper-test reaper-test-library; rpm -V reaper-test; reaper-test; cat /etc/sudoers.d/reaper-test"
    assert found(look) == "reaper-test-1-1.noarch\nreaper-test-library-1-1.noarch\nreaper-pkg\nversion 1\n# from the package\n"
    dnf("upgrade reaper-test reaper-test-library")
    assert found("rpm -q reaper-test; reaper-test; systemctl is-enabled reaper-test") == (
        "reaper-test-2-1.noarch\nreaper-pkg\nversion 2\nenabled\n")  # fmt: skip
    # nothing of it is the node's
    assert state_of(node) == before
    assert node.run("rpm", "-q", "reaper-test", check=False).stdout == "package reaper-test is not installed\n"
    dnf("remove reaper-test reaper-test-library")
    assert found("rpm -q reaper-test; id reaper-pkg 2>&1; ls /usr/bin/reaper-test 2>&1; rpm -q containerd") == (
        "package reaper-test is not installed\nid: 'reaper-pkg': no such user\n"
        "ls: cannot access '/usr/bin/reaper-test': No such file or directory\ncontainerd-1.6.20-1.x86_64\n")
    assert state_of(node) == before
