#!/usr/bin/env python3
"""A dynamic inventory: the nodes of the cluster that kubectl's context is of, over SSH.

  scripts/install-reaper.sh --inventory ansible/inventories/kubectl.py
  REAPER_CONTEXT=NAME, REAPER_SELECTOR=LABELS and REAPER_USER=USER choose the context, the nodes, and who logs in.
"""

import json
import os
import subprocess
import sys

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def nodes():
    command = ["kubectl", "get", "nodes", "-o", "json"]
    if os.environ.get("REAPER_CONTEXT"):
        command[1:1] = ["--context", os.environ["REAPER_CONTEXT"]]
    if os.environ.get("REAPER_SELECTOR"):
        command += ["--selector", os.environ["REAPER_SELECTOR"]]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["items"]


def main():
    hosts, control_plane = {}, []
    for node in nodes():
        name = node["metadata"]["name"]
        address = {each["type"]: each["address"] for each in node["status"].get("addresses", [])}
        hosts[name] = {"ansible_host": address.get("InternalIP", name), "reaper_kube_node": name}
        if CONTROL_PLANE in node["metadata"].get("labels", {}):
            control_plane.append(name)
    user = {"ansible_user": os.environ.get("REAPER_USER", "root")}
    json.dump({"k8s_nodes": {"hosts": sorted(hosts), "vars": user}, "k8s_control_plane": {"hosts": sorted(control_plane)},
               "_meta": {"hostvars": hosts}}, sys.stdout, indent=1)  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"kubectl does not tell the nodes: {error}")
