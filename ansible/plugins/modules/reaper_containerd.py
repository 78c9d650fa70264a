"""The documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reaper_containerd
short_description: Brings the runtime into a node's containerd, or takes it out
version_added: "0.1.0"
author: [The Reaper authors (@reaper)]
description:
  - Calls C(reaperctl) on the node, which proves the change, writes it, restarts containerd, looks at its health and goes back if that is bad.
  - Supports check mode and C(--diff), and needs no Python on the node.
options:
  state:
    description: Whether containerd has the runtime; V(verified) changes nothing and fails if a check of the node does.
    type: str
    default: present
    choices: [present, absent, verified]
  package:
    description: The package on the control machine. Check mode takes reaperctl out of it where the node has none.
    type: path
  version:
    description: The version of the package, where there are several.
    type: str
  sha256:
    description: The checksum of the package.
    type: str
  timeout:
    description: Seconds that containerd gets to become healthy after a restart.
    type: int
  config:
    description: The configuration file of containerd, if it is not the daemon's own.
    type: str
  unit:
    description: The unit of containerd.
    type: str
  force:
    description: Also with pods of the runtime that run; they lose it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring the runtime into containerd
  reaper.node.reaper_containerd:
    package: /srv/dist
"""

RETURN = r"""
reaper:
  description: The answer of reaperctl.
  type: dict
  returned: always
"""
