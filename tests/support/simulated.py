"""A fleet without machines: each node is a directory, with programs in place of dpkg, apt and systemd and the
real reaperctl on its files (`--root`). It shows what a fleet costs the control machine, and nothing of a node."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

from installed import package
from machine import BINARIES, SOURCE

CONFIG = "version = 2\n\n[plugins]\n"

PROGRAMS = {
    "dpkg": 'echo amd64',
    "dpkg-query": """[ -e /var/lib/reaper-version ] || exit 1
printf '%s' "$3" | grep -q Status && echo installed
! printf '%s' "$3" | grep -q Version || cat /var/lib/reaper-version""",
    # apt-get … install FILE, apt-get … purge reaper
    "apt-get": """for last; do :; done
case $last in
/*) dpkg-deb -f "$last" Version >/var/lib/reaper-version && ln -sf reaperctl.real "$REAPER_TREE/bin/reaperctl" ;;
*) rm -rf /var/lib/reaper-version /var/lib/reaper "$REAPER_TREE/bin/reaperctl" ;;
esac""",
    "reaperctl.real": """case $1 in
doctor) if grep -q reaper-v2 /etc/containerd/config.toml; then echo '{"checks": {}}'; else exit 1; fi ;;
*) exec @REAPERCTL@ "$@" --root "$REAPER_TREE" --containerd @CONTAINERD@ ;;
esac""",
    # so that jobs take the other way, which needs no systemd
    "systemd-run": "exit 1",
}


def make_node(top):
    for name in ("etc/containerd", "run/systemd/system", "var/lib", "var/tmp", "bin"):
        (top / name).mkdir(parents=True)
    (top / "etc/containerd/config.toml").write_text(CONFIG)
    for name, text in PROGRAMS.items():
        text = text.replace("@REAPERCTL@", str(BINARIES / "reaperctl")).replace("@CONTAINERD@", shutil.which("containerd"))
        path = top / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    # a link through /etc, which is the tree's
    (top / "bin/awk").symlink_to(os.path.realpath(shutil.which("awk")))


class Fleet:
    """`count` nodes below `top`, and an inventory of them."""

    def __init__(self, top, count):
        self.top = pathlib.Path(top)
        self.names = [f"node{number:04}" for number in range(1, count + 1)]
        for name in self.names:
            make_node(self.top / name)
        self.inventory = self.top / "inventory.ini"
        lines = ["[k8s_nodes]", *(f"{name} ansible_host={self.top}/{name} reaper_number={name}" for name in self.names)]
        lines += ["[k8s_nodes:vars]", "ansible_connection=tree", "ansible_user=root", "ansible_become=false"]
        self.inventory.write_text("\n".join(lines) + "\n")

    def play(self, name, *arguments, check=True, report=None):
        """One playbook: what it cost, and its report, beside which the log is."""
        report = report or self.top / f"{name}.json"
        environment = {
            **os.environ, "ANSIBLE_CONNECTION_PLUGINS": str(SOURCE / "tests/support/connection"),
            "ANSIBLE_CONFIG": str(SOURCE / "ansible/ansible.cfg"), "ANSIBLE_FORKS": "20", "ANSIBLE_DISPLAY_OK_HOSTS": "False",
            "REAPER_REPORT_JSON": str(report), "REAPER_REPORT_HTML": str(report.with_suffix(".html")),
        }  # fmt: skip
        command = [f"{os.path.dirname(sys.executable)}/ansible-playbook", "-i", self.inventory, "-e", f"reaper_package={package()}",
                   SOURCE / f"ansible/{name}-reaper.yml", *arguments]  # fmt: skip
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        log = report.with_suffix(".log")
        with open(log, "w") as file:
            process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=subprocess.STDOUT, env=environment, cwd="/")
            _, status, own = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = log.read_text()
        assert process.returncode == 0 or not check, said[-3000:]
        return {
            "nodes": len(self.names),
            "status": process.returncode,
            "seconds": time.monotonic() - start,
            "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "memory": own.ru_maxrss,
            "json": report.stat().st_size,
            "html": report.with_suffix(".html").stat().st_size,
            "report": json.loads(report.read_text()),
            "said": said,
        }
