"""The documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reaper_package
short_description: Installs or removes the package on a node
version_added: "0.1.0"
author: [The Reaper authors (@reaper)]
description:
  - Leaves containerd alone. What fits the node is taken and its checksum verified; needs no Python on the node.
options:
  state:
    description: Whether it is installed; V(previous) is the version that was there before.
    type: str
    default: present
    choices: [present, previous, absent]
  path:
    description: A package on the control machine, a directory of packages, or the air-gap tar.
    type: path
  version:
    description: Which version, where there are several.
    type: str
  sha256:
    description: The checksum of a file that comes from elsewhere.
    type: str
  repository:
    description: An apt or dnf repository instead, as C(url) and C(key), a file on the control machine.
    type: dict
  purge:
    description: With O(state=absent), remove the settings and the state too.
    type: bool
    default: true
  force:
    description: With O(state=absent), also where containerd's configuration cannot be looked at.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Install the package
  reaper.node.reaper_package:
    path: /srv/dist
"""

RETURN = r"""
after:
  description: The version that is there afterwards, or none.
  type: str
  returned: always
"""
