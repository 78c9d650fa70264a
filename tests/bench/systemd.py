"""The rows of the systemd cgroup driver: systemd.py --rounds FACTOR --out results.csv appends them.

systemd has to be there, so they are measured on a node of ci/node.sh (Debian 13: containerd 1.7, systemd 257), not in the
namespaces of the other rows: RunPodSandbox, CreateContainer and StartContainer, and the four calls back, in a slice as a
kubelet makes it. Each container is a scope.
"""

import argparse
import csv
import json
import shutil
import time

import daemon
import measure
from machine import BINARIES, PROGRAMS, SOURCE, Node
from waiting import until

ROUNDS = 20
PEERS = ("reaper", "runc")
ROWS = ("cri_pod_up_systemd", "cri_pod_down_systemd")
PARENT = "/kubepods.slice/kubepods-besteffort-podbench.slice"
WHY = "as cri_pod_up and cri_pod_down, in a slice of systemd, on a node"
PAUSE = "registry.test/pause:1"
# runc as the other rows have it: ci/runc-without-sys-resource changes nothing where that capability is there
CONFIG = f"""
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.reaper]
    runtime_type = "io.containerd.reaper.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.reaper.options]
      SystemdCgroup = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
      BinaryName = "/usr/local/sbin/runc-without-sys-resource"
"""


class OnNode:
    """daemon.Pod's daemon: that of the node."""

    def __init__(self, node):
        for program in PROGRAMS:
            shutil.copy2(BINARIES / program, node.path("/usr/local/bin/"))
        shutil.copy2(SOURCE / "ci/runc-without-sys-resource", node.path("/usr/local/sbin/"))
        shutil.copy2("/bin/busybox", node.path("/bin/"))  # what is in the image of the peer, too
        node.path("/etc/containerd/config.toml").write_text(CONFIG)
        node.restart_containerd()
        node.ctr("--namespace", "k8s.io", "images", "import", "--no-unpack", "-", input=daemon.make_images(PAUSE), text=False)
        self.node = node
        self.cri = node.cri()
        for image in (PAUSE, daemon.BUSYBOX):  # CRI hears of an import by an event
            until(lambda image=image: self.cri.call("ImageStatus", image={"image": image}).image, what=image)


def life(host, handler):
    """(ms up, ms down)"""
    pod = daemon.Pod(host, handler, parent=PARENT)
    began = time.perf_counter()
    pod.up()
    up = time.perf_counter() - began
    config = host.node.path(f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{pod.container}/config.json")
    where = json.loads(config.read_text())["linux"]["cgroupsPath"]
    assert where == f"{PARENT.rpartition('/')[2]}:cri-containerd:{pod.container}", f"no scope: {where}"
    began = time.perf_counter()
    pod.down()
    return up * 1000, (time.perf_counter() - began) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=float, default=1.0)
    parser.add_argument("--out", help="results.csv, which has its first line")
    parser.add_argument("--list", action="store_true", help="print the rows")
    args = parser.parse_args()
    if args.list:
        for row in ROWS:
            print(f"{row:20} {'ms':10} {WHY}")
        return
    node = Node("trixie", "reaper-bench-systemd", cluster="reaper-bench", install=False, prepare=False)
    found = {row: {peer: [] for peer in PEERS} for row in ROWS}
    try:
        host = OnNode(node)
        with open(args.out, "a", newline="") as file:
            writer = csv.writer(file)
            for number in range(-1, max(1, round(ROUNDS * args.rounds))):
                for peer in PEERS:
                    values = life(host, peer)
                    for row, value in zip(ROWS, values) if number >= 0 else ():  # the first is a warm-up
                        writer.writerow([row, peer, "ms", number, f"{value:.4f}"])
                        found[row][peer].append(value)
    finally:
        node.remove()
    for row in ROWS:
        measure.report(row, "ms", found[row])


main()
