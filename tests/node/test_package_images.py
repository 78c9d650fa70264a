"""Images of machines that are built with the package in them: nothing runs there, and the first boot proves it."""

import os

import pytest

from installed import CONFIG, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, Node, run

pytestmark = pytest.mark.full("makes an image and boots it, half a minute each")

INSTALL = {
    "bookworm": ["/root/reaper.deb", "deb", "apt-get -q -y install /root/reaper.deb"],
    "rpm": ["/root/reaper.rpm", "rpm", "dnf -y --disablerepo='*' --setopt=gpgcheck=0 install /root/reaper.rpm"],
}


@pytest.fixture
def built(request):
    """A node that is booted from the suite's image with the package installed in a build of an image."""
    suite = request.param
    place, kind, command = INSTALL[suite]
    maker = [SOURCE / "ci/rpm-node-image.sh"] if suite == "rpm" else [SOURCE / "ci/node-image.sh", suite]
    base = run(maker, timeout=900).stdout.strip()
    name = f"reaper-test-{os.getpid()}-built"
    run(["docker", "create", "--name", name, "--entrypoint", "/bin/sh", base, "-c", command])
    made = node = None
    try:
        run(["docker", "cp", "-q", package(kind), f"{name}:{place}"])
        said = run(["docker", "start", "--attach", name], timeout=300)
        made = run(["docker", "commit", "--change", 'ENTRYPOINT ["/usr/local/sbin/node-init"]', "--change", "CMD []", name]).stdout.strip()
        node = Node(suite, f"{name}-node", install=False, prepare=False, image=made)
        yield node, said.stdout + said.stderr
    finally:
        if node:
            node.remove()
        run(["docker", "rm", "-fv", name])
        if made:
            run(["docker", "rmi", "--force", made])


@pytest.mark.parametrize("built", sorted(INSTALL), indirect=True)
def test_an_image_with_the_package_is_proved_at_its_first_boot(built, stock):
    node, said = built
    assert "reaper: warning" not in said
    assert node.run("systemctl", "show", "--property=Result,ConditionResult", "reaper-boot").stdout == "Result=success\nConditionResult=yes\n"
    # nobody has called anything since the boot
    assert_serves(node)
    remove = ["dnf", "-y", "--disablerepo=*", "remove", "reaper"] if node.suite == "rpm" else ["apt-get", "-q", "-y", "purge", "reaper"]
    node.run(*remove, timeout=300)
    assert file_state(node.path(CONFIG)) == file_state(stock(node.suite).path(CONFIG))
    assert_does_not_serve(node)
