"""kubernetes/examples: each is applied as it stands, and does what its head says."""

import pytest
import yaml

from kube_cluster import RUNC_IMAGE
from machine import SOURCE
from waiting import until

EXAMPLES = SOURCE / "kubernetes" / "examples"
full = pytest.mark.full("users begin with them; minutes, for some install packages from a mirror")
decisive = pytest.mark.submission("the example that most users copy; seconds")


@pytest.mark.submission("an example nobody runs is wrong one day; needs no cluster")
def test_each_example_has_a_test():
    tests = [name[len("test_"):].replace("_", "-") for name in globals() if name.startswith("test_")]  # fmt: skip
    without = [path.name for path in sorted(EXAMPLES.iterdir()) if path.is_dir() and not any(t.startswith(path.name[3:]) for t in tests)]
    assert not without


@pytest.mark.submission("a field that the API does not know is ignored silently otherwise")
def test_the_api_server_takes_all_of_them(cluster):
    cluster.ensure_installed()
    result = cluster.kubectl("apply", "--dry-run=server", "--recursive", "-f", EXAMPLES)
    assert "Warning" not in result.stderr, result.stderr


@pytest.fixture
def example(kube):
    """example(FILE) applies one; everything it made is deleted afterwards."""
    def apply(name, replace=()):
        text = (EXAMPLES / name).read_text()
        for old, new in replace:
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        objects = [each for each in yaml.safe_load_all(text) if each]
        # the label that tells the end of the tests' pods (conftest.py)
        for each in objects:
            for spec in (each, each.get("spec", {}).get("template"), each.get("spec", {}).get("jobTemplate", {}).get("spec", {}).get("template")):
                if spec and (spec is not each or each["kind"] == "Pod"):
                    spec.setdefault("metadata", {}).setdefault("labels", {})["test"] = "example"
        kube.make(*objects)
        return kube

    return apply


def rolled_out(kube, what, limit=120):
    result = kube.kubectl("rollout", "status", what, f"--timeout={limit}s", check=False, timeout=limit + 30)
    assert result.returncode == 0, result.stderr + kube.out("describe", "pods", "-l", "test=example")[-4000:]


def completed(kube, job, limit=120):
    """The log of a Job that has to succeed."""
    kube.wait(f"job/{job}", "condition=complete", limit)
    return kube.out("logs", f"job/{job}", "--all-containers")


@decisive
def test_scheduling_on_all_nodes(example, cluster):
    kube = example("01-scheduling/all-nodes.yaml")
    rolled_out(kube, "daemonset/every-node")
    log = kube.out("logs", "-l", "app=every-node")
    assert sorted(line.split(":")[0] for line in log.splitlines()) == sorted(f"on {node}" for node in cluster.nodes)


@full
def test_scheduling_on_some_nodes(example, cluster):
    chosen = cluster.workers[0].name
    cluster.kubectl("label", "node", chosen, "example.com/gpu=true")
    try:
        kube = example("01-scheduling/some-nodes.yaml")
        rolled_out(kube, "daemonset/some-nodes")
        assert kube.out("logs", "-l", "app=some-nodes") == f"chosen: {chosen}\n"
    finally:
        cluster.kubectl("label", "node", chosen, "example.com/gpu-")


@full
def test_client_server(example):
    kube = example("02-client-server/client-server.yaml")
    assert "hello from host-server-" in completed(kube, "client")


@full
def test_run_as_a_number(example):
    code, log = example("03-run-as/uid.yaml").ended("run-as-uid")
    assert code == 0 and "uid=1500 gid=1500 groups=1500,1600" in log
    assert "CapEff:\t0000000000000000" in log and "NoNewPrivs:\t1" in log


@full
def test_run_as_a_name(example):
    assert example("03-run-as/user-name.yaml").ended("run-as-name") == (0, "games\n/usr/games\n")


@full
def test_volumes(example):
    code, log = example("04-volumes/volumes.yaml").ended("volumes")
    assert code == 0, log
    for line in ("colour = green", "14", "15", 'app="volumes"', "a token for example.com", "kept for the next container",
                 "shared memory", "the node is read-only here"):  # fmt: skip
        assert line in log.splitlines(), log


@full
def test_mixed(example):
    kube = example("05-mixed/mixed.yaml", [("docker.io/library/busybox:1.36", RUNC_IMAGE)])
    assert completed(kube, "mixed-client").endswith("from a container\nread by the node's own curl\n")


@full
def test_ansible_playbook(example):
    kube = example("06-ansible-playbook/playbook.yaml")
    log = completed(kube, "playbook", 600)
    assert "ok=3" in log and "failed=0" in log and '"msg": "Debian on ' in log


@full
def test_ordered_setup(example, cluster):
    kube = example("07-ordered-setup/ordered.yaml")
    kube.ready("ordered")
    assert kube.out("logs", "ordered") == "batch /var/lib/batch/batch.conf\nworkers=4\n"
    host = cluster.node_of("ordered")
    assert not host.path("/var/lib/batch").exists() and "batch" not in host.path("/etc/passwd").read_text()


@full
def test_node_exporter(example):
    kube = example("08-node-exporter/node-exporter.yaml")
    rolled_out(kube, "daemonset/node-exporter", 600)
    metrics = kube.out("get", "--raw", "/api/v1/namespaces/default/services/node-exporter:metrics/proxy/metrics")
    assert "\nnode_uname_info{" in metrics and "\nnode_memory_MemTotal_bytes " in metrics


@full
def test_ldap_sssd(example, cluster):
    """Who finds whom, and what the host process gets: the programs themselves are stand-ins."""
    stand_in = "#!/bin/bash\nuntil exec 3<>/dev/tcp/ldap/389; do sleep 1; done\ngrep -c ldap_uri /etc/sssd/sssd.conf\nexec sleep infinity\n"
    names = [node.path("/usr/sbin/sssd") for node in cluster.workers]
    for name in names:
        assert not name.exists()
        name.write_text(stand_in)
        name.chmod(0o755)
    try:
        kube = example("09-ldap-sssd/ldap-sssd.yaml", [("docker.io/osixia/openldap:1.5.0\n", f'{RUNC_IMAGE}\n          command: ["httpd", "-f", "-p", "389"]\n')])
        rolled_out(kube, "deployment/ldap")
        rolled_out(kube, "daemonset/sssd")
        until(lambda: kube.out("logs", "-l", "app=sssd").count("1\n") == len(names), what="SSSD's connections")
    finally:
        for name in names:
            name.unlink()


@full
def test_slurm(example):
    """Debian's own Slurm and munge, over two nodes."""
    kube = example("10-slurm/slurm.yaml")
    rolled_out(kube, "statefulset/slurmd", 600)
    rolled_out(kube, "statefulset/slurmctld", 120)
    idle = lambda: "2   idle" in kube.exec("slurmctld-0", "sinfo").stdout  # noqa: E731
    until(idle, limit=120, what="two idle nodes")
    assert sorted(kube.exec("slurmctld-0", "srun", "--nodes=2", "hostname").stdout.split()) == ["slurmd-0", "slurmd-1"]


@full
def test_debugging(example, cluster):
    kube = example("11-debugging/shell.yaml")
    kube.ready("node-shell")
    assert kube.exec("node-shell", "sh", "-c", "touch /etc/trace; ps -e | grep -c kubelet").stdout == "1\n"
    assert not cluster.node_of("node-shell").path("/etc/trace").exists()


@full
def test_package(example, cluster):
    kube = example("12-package/package.yaml")
    assert "\ntree v" in completed(kube, "package", 300)
    assert not any(node.path("/usr/bin/tree").exists() for node in cluster.workers)


@full
def test_legacy_daemon(example):
    kube = example("13-legacy-daemon/legacy-daemon.yaml")
    kube.ready("legacy-daemon")
    daemon = kube.exec("legacy-daemon", "cat", "/run/legacyd.pid").stdout.strip()
    # the daemon ends: so does the container, and the kubelet starts it again
    kube.exec("legacy-daemon", "kill", daemon)
    until(lambda: kube.status("legacy-daemon")["restartCount"] == 1, what="the second life")
    kube.ready("legacy-daemon")
    # asked to end, it ends by itself: within its grace
    assert kube.kubectl("delete", "pod", "legacy-daemon", "--grace-period=60", "--wait=true", timeout=50).returncode == 0


@full
def test_scheduled_check(example):
    kube = example("14-scheduled-check/cronjob.yaml")
    kube.kubectl("create", "job", "--from=cronjob/node-check", "node-check-now")
    try:
        assert completed(kube, "node-check-now").endswith("all disks run\n")
    finally:
        kube.kubectl("delete", "job", "node-check-now")
