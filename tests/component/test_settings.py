"""Settings of the node and of the pod, as a container sees what they do; keys of the version in Rust."""

import pytest

from running import bind, said
from ttrpc import RpcError

pytestmark = pytest.mark.submission("a setting does what it says or refuses the pod; milliseconds")


def with_settings(bench, **settings):
    usual = bench.environment()
    bench.environment = lambda: {**usual, **settings}


@pytest.fixture
def resolver(bench):
    """The mount that kubelet adds for the pod's resolver configuration."""
    file = bench.directory / "resolv.conf"
    file.write_text("nameserver 10.96.0.10\n")
    return bind(file, "/etc/resolv.conf", "ro")


@pytest.mark.parametrize(
    ("node", "pod", "own"),
    [(None, None, True), ("host", None, False), ("host", "k8s", True), ("k8s", None, True), (None, "host", False)],
)  # fmt: skip
def test_dns_mode_decides_whose_resolver_a_pod_sees(bench, resolver, node, pod, own):
    if node:
        with_settings(bench, REAPER_DNS_MODE=node)
    annotations = {"annotations": {"reaper.runtime/dns-mode": pod}} if pod else {}
    with open("/etc/resolv.conf") as file:
        host = file.read()
    expected = "nameserver 10.96.0.10\n" if own else host
    assert said(bench, "cat /etc/resolv.conf", resolver, **annotations) == expected


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("REAPER_DNS_MODE", "cluster", 'REAPER_DNS_MODE: "cluster": must be kubernetes'),
        ("REAPER_OVERLAY_ISOLATION", "cluster", 'REAPER_OVERLAY_ISOLATION: "cluster": must be node, namespace'),
        ("REAPER_NO_OVERLAY", "1", 'REAPER_NO_OVERLAY: "1": not in this version'),
        ("REAPER_CONFIG", "/srv/reaper.conf", 'REAPER_CONFIG: "/srv/reaper.conf": not in this version'),
    ],
)
def test_no_pod_starts_with_half_a_configuration(bench, name, value, text):
    with_settings(bench, **{name: value})
    with pytest.raises(RpcError) as error:
        said(bench, "true")
    assert f"environment: {text}" in str(error.value)


def test_annotations_can_be_switched_off_and_are_answered_then(bench):
    with_settings(bench, REAPER_ANNOTATIONS_ENABLED="false")
    assert said(bench, "echo ran", name="plain", annotations={"another/key": "x"}) == "ran\n"
    with pytest.raises(RpcError) as error:
        said(bench, "true", annotations={"reaper.runtime/dns-mode": "host"})
    assert "this node takes no annotations (REAPER_ANNOTATIONS_ENABLED, environment)" in str(error.value)
