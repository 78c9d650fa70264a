"""A host process on the pod network, and on the node's where the pod says so."""

import pytest

from kube_cluster import WEB, pod, runc_pod, shell

pytestmark = pytest.mark.full("each takes seconds; the decisive ones are in the submission set")
decisive = pytest.mark.submission("Services reach host processes")


def service(name, selector, port=80, target=8080):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": selector, "ports": [{"port": port, "targetPort": target}]}}  # fmt: skip


@decisive
def test_a_service_reaches_host_processes_on_every_node(kube):
    """From a host process and from an ordinary container, by the Service's name."""
    for number, node in enumerate(kube.workers):
        kube.make(pod(f"web-{number}", shell(WEB, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1}),
                      labels={"app": "web"}, nodeName=node.name))  # fmt: skip
    kube.make(service("web", {"app": "web"}))
    for number in range(len(kube.workers)):
        kube.ready(f"web-{number}")
    ask = "for i in $(seq 30); do {} http://web.default.svc.cluster.local/; done | sort -u"
    kube.make(pod("asks", shell(ask.format("curl -sS -m 10"))), runc_pod("runc-asks", ask.format("wget -qO-")))
    both = "".join(f"web-{number}\n" for number in range(len(kube.workers)))
    assert kube.ended("asks") == (0, both)
    assert kube.ended("runc-asks") == (0, both)
    # the two pods listen on the same port of their own addresses, not of the node's
    for node in kube.workers:
        assert node.run("socat", "-", "TCP:127.0.0.1:8080", check=False).returncode != 0


@decisive
def test_names_are_those_of_the_pod(kube):
    kube.make(pod("names", shell("hostname; cat /etc/hostname; grep -c svc.cluster.local /etc/resolv.conf; getent hosts extra.test; "
                                 "getent hosts kubernetes.default.svc.cluster.local | awk '{print $2}'"),
                  hostAliases=[{"ip": "10.1.2.3", "hostnames": ["extra.test"]}]))  # fmt: skip
    code, text = kube.ended("names")
    lines = text.split("\n")
    assert code == 0, text
    assert lines[:3] == ["names", "names", "1"]
    assert lines[3].split() == ["10.1.2.3", "extra.test"]
    assert lines[4] == "kubernetes.default.svc.cluster.local"


def test_dns_policies(kube):
    kube.make(
        pod("dns-node", shell("cat /etc/resolv.conf"), dnsPolicy="Default"),
        pod("dns-none", shell("cat /etc/resolv.conf"), dnsPolicy="None",
            dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["example.test"], "options": [{"name": "ndots", "value": "2"}]}),
    )  # fmt: skip
    _, text = kube.ended("dns-none")
    assert {"nameserver 192.0.2.1", "search example.test", "options ndots:2"} <= set(text.splitlines())
    _, text = kube.ended("dns-node")
    assert "svc.cluster.local" not in text


@decisive
def test_host_network_pid_and_ipc(kube):
    node = kube.workers[0]
    links = "for n in net pid ipc uts; do readlink /proc/self/ns/$n; done"
    kube.make(
        pod("host-all", shell(links), hostNetwork=True, hostPID=True, hostIPC=True, nodeName=node.name),
        pod("host-none", shell(links + "; ps -e -o pid= | wc -l"), nodeName=node.name),
        pod("shared-pid", shell("until ps -e -o args= | grep 'sleep infinit[y]'; do sleep 0.2; done"),
            shell("exec sleep infinity", name="other"), shareProcessNamespace=True, nodeName=node.name),
    )  # fmt: skip
    theirs = [node.run("readlink", f"/proc/1/ns/{n}").stdout.strip() for n in ("net", "pid", "ipc", "uts")]
    _, text = kube.ended("host-all")
    assert text.split() == theirs
    _, text = kube.ended("host-none")
    assert not set(text.split()[:4]) & set(theirs)
    kube.wait("pod/shared-pid", 'jsonpath={.status.containerStatuses[?(@.name=="main")].state.terminated}')
    assert kube.out("logs", "shared-pid", "-c", "main") == "sleep infinity\n"


def test_sysctls_of_the_pod_stay_in_the_pod(kube):
    node = kube.workers[0]
    name = "/proc/sys/net/ipv4/ping_group_range"
    before = node.run("cat", name).stdout
    kube.make(pod("sysctl", shell(f"cat {name}"), nodeName=node.name,
                  securityContext={"sysctls": [{"name": "net.ipv4.ping_group_range", "value": "7 77"}]}))  # fmt: skip
    code, text = kube.ended("sysctl")
    assert (code, text.split()) == (0, ["7", "77"])
    assert node.run("cat", name).stdout == before


def test_host_port(kube):
    node = kube.workers[0]
    kube.make(pod("host-port", shell(WEB, ports=[{"containerPort": 8080, "hostPort": 18080}]), nodeName=node.name))
    kube.ready("host-port")
    address = kube.get("pod", "host-port")["status"]["hostIP"]
    code, text = kube.run("asks-node", f"curl -sS -m 10 http://{address}:18080/", nodeName=kube.workers[1].name)
    assert (code, text) == (0, "host-port\n")
