"""A refusal by the node's policy through CRI: kubelet shows this text in `kubectl describe pod`."""

import pytest

from pods import CriError

pytestmark = pytest.mark.submission("the refusal reaches who asked, on each containerd; a second")


def test_a_refusal_is_cris_answer_and_the_containers_status(node, pods):
    directory = node.path("/etc/reaper/policy.d")
    node.run("mkdir", "-p", "/etc/reaper/policy.d")
    rule = directory / "10-site.conf"
    rule.write_text("# the site\n[deny]\npod=pod0\nhost=net\nmessage=\"ask ops\"\n")
    text = "/etc/reaper/policy.d/10-site.conf:2: this node's policy denies /bin/true: ask ops"
    try:
        pod = pods.sandbox()
        container = pod.create("/bin/true")
        with pytest.raises(CriError) as raised:
            pods.cri.start_container(container)
        assert text in str(raised.value)
        status = pods.cri.container_status(container)
        assert text in status.message and status.reason == "StartError" and status.exit_code == 128
        # another pod is not this one, and a rule about other namespaces not about it
        assert pods.sandbox().run("/bin/true")[0] == 0
        rule.write_text("[deny]\nhost=pid ipc\n")
        assert pod.run("/bin/true")[0] == 0
    finally:
        rule.unlink()
