"""The documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reaper_kubectl
short_description: Makes one call of kubectl
version_added: "0.1.0"
author: [The Reaper authors (@reaper)]
description:
  - On the control machine, or, delegated, on a node that has it. In check mode only calls that read are made.
options:
  argv:
    description: The arguments.
    type: list
    elements: str
  stdin:
    description: What it reads.
    type: str
  context:
    description: The context on the control machine; without it kubectl runs where the task is delegated to.
    type: str
  ok_rc:
    description: Exit statuses that are no failure besides 0.
    type: list
    elements: int
  patience:
    description:
      - Seconds for which an API server that is away is asked again, as after a restart of its containerd.
      - The variable C(reaper_kube_patience), or 90, unless it is given.
    type: int
  stubborn:
    description: Whether it is asked again whatever the answer was.
    type: bool
    default: false
  limit:
    description:
      - Seconds that one call may take, beside what its own C(--timeout) says.
      - The variable C(reaper_kube_timeout), or 60, unless it is given.
    type: int
"""

EXAMPLES = r"""
- name: Look at the nodes
  reaper.node.reaper_kubectl:
    context: kind-test
    argv: [get, nodes]
"""

RETURN = r"""
stdout:
  description: What kubectl said.
  type: str
  returned: always
"""
